"""What is built from the sources: the frozen application, its installers, and what tries them."""

from __future__ import annotations

import ast
import configparser
import hashlib
import importlib.util
import os
import plistlib
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
PACKAGING = ROOT / "packaging"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, PACKAGING / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFUSALS = [
    (
        "  x No solution found when resolving dependencies:\n"
        "  Because torch>=2.6.0,<=2.13.0 has no wheels with a matching platform tag",
        "no torch",
    ),
    (
        "No solution found. Because only pyside6-essentials<=6.11.3 is available and",
        "no pyside6-essentials",
    ),
]


@pytest.mark.parametrize(("said", "told"), REFUSALS)
def test_the_package_that_cannot_be_had_is_named(said: str, told: str) -> None:
    assert load("python_versions").read_refusal(said) == told


def test_without_an_index_there_is_no_table() -> None:
    with pytest.raises(SystemExit, match="could not be asked: error: no route"):
        load("python_versions").read_refusal("error: no route")


def version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"])


def entry() -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(PACKAGING / "linux" / "g2g-desktop.desktop", "utf-8")
    return dict(parser["Desktop Entry"])


def inno() -> dict[str, list[str]]:
    """Give the lines of each section of the script for Windows, without comments and conditions."""
    sections: dict[str, list[str]] = {}
    name = ""
    text = (PACKAGING / "windows" / "g2g-desktop.iss").read_text("utf-8")
    for line in filter(None, map(str.strip, text.splitlines())):
        if found := re.fullmatch(r"\[(\w+)\]", line):
            name = found[1]
        elif not line.startswith((";", "#")):
            sections.setdefault(name, []).append(line)
    return sections


def mac_plist() -> dict[str, Any]:
    """Give what the spec tells macOS of the program."""
    tree = ast.parse((PACKAGING / "frozen" / "g2g.spec").read_text("utf-8"))
    (found,) = (
        keyword.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "info_plist"
    )
    plist: dict[str, Any] = ast.literal_eval(found)
    return plist


def spec_names() -> list[str]:
    tree = ast.parse((PACKAGING / "frozen" / "g2g.spec").read_text("utf-8"))
    return [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and n.value in PROGRAMS]


PROGRAMS = ("g2g", "g2g-desktop")


def test_every_installer_carries_both_programs_and_opens_models() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert {*scripts["scripts"], *scripts["gui-scripts"]} == set(PROGRAMS) <= {*spec_names()}
    assert entry()["Exec"].split()[0] == "g2g-desktop"
    sections = inno()
    assert any(r"dist\g2g-desktop\*" in line for line in sections["Files"])
    assert all(r"{app}\g2g-desktop.exe" in line for line in sections["Icons"])
    associated = "\n".join(sections["Registry"])
    assert r"Software\Classes\.g2g" in associated
    assert '"""{app}\\g2g-desktop.exe"" ""%1"""' in associated
    types = mac_plist()["CFBundleDocumentTypes"]
    assert ["g2g"] in [one["CFBundleTypeExtensions"] for one in types]
    mime = ElementTree.parse(PACKAGING / "linux" / "g2g-desktop.xml")
    (kind,) = mime.getroot()
    assert kind.attrib["type"] in entry()["MimeType"].split(";")
    assert {g.attrib["pattern"] for g in kind.iter() if g.tag.endswith("glob")} == {"*.g2g"}


def test_the_installers_call_the_program_by_one_name() -> None:
    setup = dict(line.split("=", 1) for line in inno()["Setup"])
    about = ElementTree.parse(PACKAGING / "linux" / "org.g2g.desktop.metainfo.xml").getroot()
    told = {entry()["Name"], setup["AppName"], str(about.findtext("name"))}
    assert told == {"g2g desktop"}
    assert about.findtext("summary") == entry()["Comment"]
    assert about.findtext("project_license") == "BSD-3-Clause"
    assert f'"{about.findtext("id")}"' in (PACKAGING / "frozen" / "g2g.spec").read_text("utf-8")
    assert setup["AppVersion"] == "{#Version}"  # given by the workflow, from the package


def test_the_script_for_macos_takes_what_the_spec_makes() -> None:
    script = (PACKAGING / "macos" / "make_dmg.sh").read_text("utf-8")
    assert 'app="dist/g2g desktop.app"' in script
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0
    with (PACKAGING / "macos" / "entitlements.plist").open("rb") as file:
        assert plistlib.load(file) == {"com.apple.security.cs.disable-library-validation": True}


def test_the_workflow_names_files_that_are_there_and_tries_each_form() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8")
    named = set(re.findall(r"packaging/[\w/.-]+", text))
    assert len(named) >= 6
    assert not [name for name in named if not (ROOT / name).exists()]
    for job in ("wheel-works", "linux", "windows", "macos"):
        steps = text.partition(f"\n  {job}:")[2].partition("\n\n")[0]
        assert "packaging/smoke_test.py" in steps, job
    # What a .deb is said to need is what the window needs.
    assert load("bootstrap").QT_LIBRARIES.keys() <= load("bootstrap").SCREEN_LIBRARIES.keys()


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="needs dpkg-deb")
def test_the_packages_for_linux_hold_the_program_and_what_desktops_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(PACKAGING))
    frozen = tmp_path / "g2g-desktop"
    frozen.mkdir()
    (frozen / "g2g-desktop").write_text("#!/bin/sh\necho a window\n")
    (frozen / "g2g-desktop").chmod(0o755)
    (frozen / "g2g").symlink_to("g2g-desktop")
    assert load("make_deb").main([str(frozen), str(tmp_path / "out")]) == 0
    made = {path.name for path in (tmp_path / "out").iterdir()}
    name = f"g2g-desktop_{version()}_amd64.deb"
    assert made == {name, f"g2g-desktop-{version()}-linux-x86_64.tar.gz", "SHA256SUMS"}
    package = tmp_path / "out" / name
    listed = subprocess.check_output(["dpkg-deb", "--contents", package], text=True)
    for line in (
        "./opt/g2g-desktop/g2g -> g2g-desktop",
        "./usr/bin/g2g-desktop -> /opt/g2g-desktop/g2g-desktop",
        "./usr/share/applications/g2g-desktop.desktop",
        "./usr/share/mime/packages/g2g-desktop.xml",
        "./usr/share/metainfo/org.g2g.desktop.metainfo.xml",
        "./usr/share/icons/hicolor/256x256/apps/g2g-desktop.png",
        "./usr/share/doc/g2g-desktop/copyright",
    ):
        assert line in listed
    needed = subprocess.check_output(["dpkg-deb", "--field", package, "Depends"], text=True)
    assert "libxcb-cursor0" in needed
    unpacked = tmp_path / "unpacked"
    shutil.unpack_archive(
        tmp_path / "out" / f"g2g-desktop-{version()}-linux-x86_64.tar.gz", unpacked, filter="tar"
    )
    (folder,) = unpacked.iterdir()
    home = {"HOME": str(tmp_path), "PREFIX": str(tmp_path / "prefix"), "PATH": os.environ["PATH"]}
    subprocess.run([folder / "install.sh"], env=home, check=True, capture_output=True)
    said = subprocess.check_output([tmp_path / "prefix" / "bin" / "g2g"], text=True)
    assert said == "a window\n"
    installed = tmp_path / "prefix" / "share" / "applications" / "g2g-desktop.desktop"
    assert f'Exec="{folder}/app/g2g-desktop" %F' in installed.read_text("utf-8")
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    assert f"{digest}  {name}\n" in (tmp_path / "out" / "SHA256SUMS").read_text("utf-8")
