"""Make the .deb and the tarball of the frozen application, on Debian or Ubuntu.

    python packaging/make_deb.py dist/g2g-desktop OUT

`dist/g2g-desktop` is what PyInstaller made of `packaging/frozen/g2g.spec`. OUT gets a .deb, a
tar.gz with an `install.sh` for other systems, and SHA256SUMS. Needs dpkg-deb, and an environment
with the program itself, for its version and icon.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from bootstrap import SCREEN_LIBRARIES
from make_icons import draw

HERE = Path(__file__).resolve().parent
NAME = "g2g-desktop"
ICON_SIZES = (48, 64, 128, 256, 512)
SHARED = {  # what a desktop reads, and where it looks for it below /usr/share
    "g2g-desktop.desktop": "applications",
    "g2g-desktop.xml": "mime/packages",
    "org.g2g.desktop.metainfo.xml": "metainfo",
}
CONTROL = """Package: {name}
Version: {version}
Architecture: amd64
Maintainer: the g2g desktop authors <noreply@example.invalid>
Installed-Size: {size}
Depends: libc6 (>= 2.34), {depends}
Recommends: shared-mime-info, desktop-file-utils
Section: science
Priority: optional
Description: blind denoising of microscopy and CT stacks
 Learns the noise of a stack from the stack itself, and removes it. With a window
 (g2g-desktop) and a command (g2g). Research use only; not for diagnosis.
"""
# Debian 13 and Ubuntu 24.04 have given this one another name.
RENAMED = {"libglib2.0-0": "libglib2.0-0 | libglib2.0-0t64"}
INSTALL = """#!/bin/sh
# Put g2g desktop into the menus of this user, or of everybody when root runs this.
set -e
here=$(cd "$(dirname "$0")" && pwd)
prefix=${PREFIX:-$([ "$(id -u)" = 0 ] && echo /usr/local || echo "$HOME/.local")}
mkdir -p "$prefix/bin" "$prefix/share"
cp -R "$here/share/." "$prefix/share/"
sed -i "s|^Exec=g2g-desktop|Exec=\\"$here/app/g2g-desktop\\"|" \\
  "$prefix/share/applications/g2g-desktop.desktop"
ln -sf "$here/app/g2g-desktop" "$prefix/bin/g2g-desktop"
ln -sf "$here/app/g2g" "$prefix/bin/g2g"
echo "g2g desktop is in $prefix/bin; keep the folder $here, which holds the program."
"""


def main(arguments: list[str]) -> int:
    """Make both packages."""
    if len(arguments) != 2:
        sys.stderr.write(__doc__ or "")
        return 2
    application, output = (Path(name).absolute() for name in arguments)
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output) as scratch:
        made = [
            make_deb(application, output, Path(scratch)),
            make_tarball(application, output, Path(scratch)),
        ]
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in made]
    (output / "SHA256SUMS").write_text("".join(sums), "utf-8")
    print("".join(sums), end="")
    return 0


def share(folder: Path) -> None:
    """Write what desktops read: entry, types of files, AppStream data, icons, licence."""
    for name, place in SHARED.items():
        (folder / place).mkdir(parents=True)
        shutil.copy(HERE / "linux" / name, folder / place / name)
    for size in ICON_SIZES:
        icons = folder / "icons" / "hicolor" / f"{size}x{size}" / "apps"
        icons.mkdir(parents=True)
        draw(size, icons / f"{NAME}.png")
    (folder / "doc" / NAME).mkdir(parents=True)
    shutil.copy(HERE.parent / "LICENSE", folder / "doc" / NAME / "copyright")


def control(installed_kb: int) -> str:
    """Give what dpkg is told of the package."""
    needed = [RENAMED.get(name, name) for name in SCREEN_LIBRARIES.values()]
    return CONTROL.format(
        name=NAME, version=version(NAME), size=installed_kb, depends=", ".join(needed)
    )


def make_deb(application: Path, output: Path, scratch: Path) -> Path:
    """Make the package for Debian and Ubuntu: the folder in /opt, links to it in /usr/bin."""
    tree = scratch / "deb"
    inside = tree / "opt" / NAME
    inside.parent.mkdir(parents=True)
    link_tree(application, inside)
    (tree / "usr" / "bin").mkdir(parents=True)
    for program in (NAME, "g2g"):
        (tree / "usr" / "bin" / program).symlink_to(f"/opt/{NAME}/{program}")
    share(tree / "usr" / "share")
    size = sum(path.lstat().st_size for path in tree.rglob("*")) // 1024
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN" / "control").write_text(control(size), "utf-8")
    target = output / f"{NAME}_{version(NAME)}_amd64.deb"
    # zstd unpacks in seconds; Debian's dpkg knows it since 12.
    command = ["dpkg-deb", "--root-owner-group", "-Zzstd", "-z6", "--build"]
    subprocess.run([*command, str(tree), str(target)], check=True, stdout=subprocess.DEVNULL)
    return target


def make_tarball(application: Path, output: Path, scratch: Path) -> Path:
    """Make the archive for every other system with glibc 2.34."""
    folder = scratch / f"{NAME}-{version(NAME)}"
    folder.mkdir()
    link_tree(application, folder / "app")
    share(folder / "share")
    script = folder / "install.sh"
    script.write_text(INSTALL, "utf-8")
    script.chmod(0o755)
    target = output / f"{folder.name}-linux-x86_64.tar.gz"
    whole = ["--owner=0", "--group=0", "-C", str(scratch), folder.name]
    subprocess.run(["tar", "czf", str(target), *whole], check=True)
    return target


def link_tree(source: Path, target: Path) -> None:
    """Copy a folder without taking its space twice; links stay links."""
    subprocess.run(["cp", "-a", "--link", str(source), str(target)], check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
