"""The two commands of the README, and what a wheel carries."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
PROJECT = (ROOT / "pyproject.toml").read_text("utf-8")
posix_only = pytest.mark.skipif(os.name != "posix", reason="makes symbolic links and shell scripts")


def load(script: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(script.stem, script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bootstrap(tmp_path: Path) -> ModuleType:
    """Give the script as it would be in a checkout of its own, with nothing set up."""
    (tmp_path / "packaging").mkdir()
    for name in (
        "pyproject.toml",
        *(f"packaging/{n}" for n in ("bootstrap.py", "constraints.txt")),
    ):
        shutil.copy(ROOT / name, tmp_path / name)
    return load(tmp_path / "packaging" / "bootstrap.py")


@pytest.fixture
def torch_build(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.delenv("G2G_TORCH", raising=False)
    return load(ROOT / "packaging" / "torch_build.py")


def make_ready(bootstrap: ModuleType) -> None:
    bootstrap.BIN.mkdir(parents=True)
    bootstrap.PYTHON.symlink_to(sys.executable)
    bootstrap.READY.write_text(bootstrap.fingerprint(), "utf-8")


def run_script(bootstrap: ModuleType, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, bootstrap.__file__, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@posix_only
def test_a_ready_environment_runs_a_command_and_passes_its_status(bootstrap: ModuleType) -> None:
    make_ready(bootstrap)
    (bootstrap.BIN / "g2g").write_text('#!/bin/sh\necho "$OMP_WAIT_POLICY $1"; exit 3\n')
    (bootstrap.BIN / "g2g").chmod(0o755)
    done = run_script(bootstrap, "exec", "g2g", "--json")
    assert (done.returncode, done.stdout, done.stderr) == (3, "PASSIVE --json\n", "")


@posix_only
def test_an_unknown_command_is_named(bootstrap: ModuleType) -> None:
    make_ready(bootstrap)
    done = run_script(bootstrap, "exec", "no-such-command")
    assert done.returncode == 127
    assert "'no-such-command'" in done.stderr


def test_an_unknown_verb_prints_the_verbs(bootstrap: ModuleType) -> None:
    done = run_script(bootstrap, "start")
    assert done.returncode == 2
    assert "bootstrap.py exec COMMAND..." in done.stderr


def test_the_environment_is_made_anew_for_other_packages_only(bootstrap: ModuleType) -> None:
    first = bootstrap.fingerprint()
    assert bootstrap.fingerprint() == first
    bootstrap.CONSTRAINTS.write_text("numpy==2.0.0\n")
    place, packages = first.splitlines()
    assert bootstrap.fingerprint().splitlines()[0] == place
    assert bootstrap.fingerprint().splitlines()[1] != packages


@posix_only
def test_a_moved_checkout_does_not_keep_its_environment(bootstrap: ModuleType) -> None:
    make_ready(bootstrap)
    assert bootstrap.belongs_here()
    bootstrap.READY.write_text("3.11 /somewhere/else\nabc\n")
    assert not bootstrap.belongs_here()


@pytest.fixture
def made_anew(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Give the commands that would make an environment; nothing is installed on the system."""
    commands: list[list[str]] = []
    monkeypatch.setattr(bootstrap, "must", lambda command, _complaint: commands.append(command))
    monkeypatch.setattr(bootstrap, "provide", lambda _missing, *, required: None)
    return commands


def raises(error: BaseException) -> Callable[[], None]:
    def install() -> None:
        raise error

    return install


def test_an_interrupted_set_up_begins_anew(
    bootstrap: ModuleType, made_anew: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "install", raises(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        bootstrap.prepare()
    half_installed = bootstrap.VENV / "lib" / "torch" / "half.py"
    half_installed.parent.mkdir(parents=True)
    half_installed.touch()
    monkeypatch.setattr(bootstrap, "install", lambda: None)
    bootstrap.prepare()
    assert [command[1:3] for command in made_anew] == [["-m", "venv"]] * 2
    assert sorted(path.name for path in bootstrap.VENV.iterdir()) == [bootstrap.READY.name]


@posix_only
def test_an_environment_that_cannot_be_renewed_is_kept(
    bootstrap: ModuleType, made_anew: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_ready(bootstrap)
    bootstrap.CONSTRAINTS.write_text("numpy==2.0.0\n")
    monkeypatch.setattr(bootstrap, "install", raises(SystemExit("no network")))
    for _ in range(3):
        with pytest.raises(SystemExit, match="no network"):
            bootstrap.prepare()
    assert bootstrap.PYTHON.exists()
    assert made_anew == []
    assert not bootstrap.is_ready()


def test_without_a_screen_app_says_so_and_runs_the_demo(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(bootstrap.sys, "platform", "linux")
    monkeypatch.setattr(bootstrap, "demo", lambda _options: 5)
    assert bootstrap.main(["app"]) == 5
    assert capsys.readouterr().err.count(".") == 1


def test_missing_libraries_are_named_with_their_packages(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap.sys, "platform", "linux")
    monkeypatch.setattr(bootstrap, "install_packages", lambda _names: False)
    missing = bootstrap.missing_libraries({"libmissing-g2g.so.1": "libmissing1"})
    bootstrap.provide(missing, required=False)
    assert "sudo apt-get install -y libmissing1\n" in capsys.readouterr().err
    with pytest.raises(SystemExit, match=r"libmissing-g2g\.so\.1"):
        bootstrap.provide(missing, required=True)


CPU_INDEX = ["--index-url", "https://download.pytorch.org/whl/cpu"]
CUDA_INDEX = ["--index-url", "https://download.pytorch.org/whl/cu130"]
PUBLIC = ["2.15.0", "2.14.1", "2.13.0", "2.9.1", "2.5.0"]


@pytest.mark.parametrize(
    ("platform", "gpu", "usual", "own", "chosen"),
    [
        ("linux", False, ["2.14.0+cpu", "2.13.0+cpu", *PUBLIC], [], ["torch===2.13.0+cpu"]),
        ("linux", False, [*PUBLIC, "2.9.0+cpu"], [], ["torch===2.9.0+cpu"]),
        ("linux", False, PUBLIC, ["2.14.0+cpu", "2.13.0+cpu"], ["torch===2.13.0+cpu", *CPU_INDEX]),
        ("linux", True, ["2.13.0+cpu", *PUBLIC], [], ["torch===2.13.0"]),
        ("linux", True, [], [], ["torch>=2.6,<2.14"]),
        ("darwin", False, PUBLIC, [], ["torch===2.13.0"]),
        ("win32", False, PUBLIC, [], ["torch===2.13.0"]),
        ("win32", True, PUBLIC, ["2.13.0+cu130"], ["torch===2.13.0+cu130", *CUDA_INDEX]),
        ("win32", True, PUBLIC, [], ["torch>=2.6,<2.14"]),
    ],
)
def test_the_build_of_torch_fits_the_machine(
    torch_build: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    platform: str,
    gpu: bool,
    usual: list[str],
    own: list[str],
    chosen: list[str],
) -> None:
    monkeypatch.setattr(torch_build.sys, "platform", platform)
    monkeypatch.setattr(torch_build, "has_nvidia_gpu", lambda: gpu)
    monkeypatch.setattr(torch_build, "_offered", lambda _python, source: own if source else usual)
    assert torch_build.torch_arguments(Path("python"), PROJECT) == chosen


def test_cuda_is_refused_where_no_gpu_can_use_it(
    torch_build: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_build.sys, "platform", "linux")
    monkeypatch.setattr(torch_build, "has_nvidia_gpu", lambda: False)
    monkeypatch.setattr(torch_build, "_offered", lambda _python, _source: PUBLIC)
    with pytest.raises(SystemExit, match="No processor build of torch"):
        torch_build.torch_arguments(Path("python"), PROJECT)
    monkeypatch.setenv("G2G_TORCH", "torch==2.12.0")
    assert torch_build.torch_arguments(Path("python"), PROJECT) == ["torch==2.12.0"]


def test_the_wheel_carries_every_resource(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("training_core", "g2g_desktop", "resources", "docs/guide"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(tmp_path), str(source)], check=True)
    (wheel,) = tmp_path.glob("g2g_desktop-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    resources = {
        f"g2g_desktop/{path.relative_to(source).as_posix()}"
        for path in (source / "resources").rglob("*")
        if path.is_file()
    }
    assert any(name.endswith("_noisy.tif") for name in resources)
    assert resources == {name for name in names if name.startswith("g2g_desktop/resources/")}
    modules = {
        path.relative_to(source).as_posix()
        for package in ("training_core", "g2g_desktop")
        for path in (source / package).rglob("*.py")
    }
    guide = {f"g2g_desktop/guide/{path.name}" for path in (ROOT / "docs" / "guide").glob("*.md")}
    assert "g2g_desktop/guide/index.md" in guide
    assert modules | guide | {"training_core/py.typed", "g2g_desktop/py.typed"} <= names
    assert not any(name.startswith("tests/") for name in names)


@pytest.fixture
def bill() -> ModuleType:
    return load(ROOT / "packaging" / "bill_of_materials.py")


def test_the_bill_of_materials_names_all_that_runs_and_its_licence(
    bill: ModuleType, tmp_path: Path
) -> None:
    assert bill.main([str(tmp_path / "bom.json")]) == 0
    made = json.loads((tmp_path / "bom.json").read_text("utf-8"))
    names = {part["name"] for part in made["components"]}
    assert {"torch", "numpy", "pyside6-essentials", "sympy"} <= names  # sympy for torch alone
    assert not {"pytest", "ruff", "g2g-desktop"} & names
    assert all(part["licenses"][0]["expression"] for part in made["components"])
    refs = {part["bom-ref"] for part in [made["metadata"]["component"], *made["components"]]}
    assert {one["ref"] for one in made["dependencies"]} == refs
    assert {needed for one in made["dependencies"] for needed in one["dependsOn"]} < refs


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("LGPL-3.0-only OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("(MIT AND BSD-3-Clause) OR Proprietary", True),
        ("(MIT OR GPL-3.0-only) AND GPL-3.0-only", False),
        ("(MIT OR GPL-3.0-only) AND (BSD-3-Clause OR Secret)", True),
        ("", False),
        ("Secret", False),
    ],
)
def test_which_licences_go_with_ours(bill: ModuleType, expression: str, allowed: bool) -> None:
    assert bill.is_allowed(expression) == allowed


def test_an_unknown_licence_fails(
    bill: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    named = {"tqdm": "Secret", "numpy": ""}
    monkeypatch.setattr(bill, "licence", lambda part: named.get(part.name, "MIT"))
    assert bill.main([str(tmp_path / "bom.json")]) == 1
    assert "licence of g2g-desktop: numpy, tqdm." in capsys.readouterr().out


def test_every_locked_release_has_hashes_and_the_project_is_covered() -> None:
    text = (ROOT / "packaging" / "constraints.txt").read_text("utf-8").replace("\\\n", " ")
    locked = [line.split() for line in text.splitlines() if not line.startswith("#")]
    for name, *hashes in locked:
        assert re.fullmatch(r"[\w.-]+==[\w.]+", name)
        assert hashes
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes)
    names = {line[0].partition("==")[0] for line in locked}
    asked = PROJECT.partition("[project.scripts]")[0]
    direct = re.findall(r'^  "([\w-]+)[>=]', asked, re.MULTILINE)
    wanted = {name.lower() for name in direct} - {"torch"}
    assert len(wanted) > 20
    assert wanted <= names
