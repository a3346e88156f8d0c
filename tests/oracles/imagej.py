"""Let ImageJ write files, export them, and let ImageJ say what it sees before and after.

    python tests/oracles/imagej.py [ij.jar]

`ij.jar` is ImageJ 1: /usr/share/java/ij.jar of Debian's package `imagej` if none is named, or
jars/ij-*.jar of Fiji; a JDK runs `ImageJ.java` without a screen. Every line that differs is
printed, and the exit code is then 1. The Python package pyimagej would run the same jar, but
fetches Java and ImageJ 2 from the net when it starts.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

DEBIAN = Path("/usr/share/java/ij.jar")
SOURCE = Path(__file__).with_name("ImageJ.java")
sys.path.insert(0, str(SOURCE.parents[2]))


def imagej(jar: Path, *arguments: str | Path) -> str:
    """Run ImageJ without a screen; give what it prints."""
    command = ["java", "-Djava.awt.headless=true", "-cp", str(jar), str(SOURCE)]
    done = subprocess.run(
        [*command, *map(str, arguments)], check=True, capture_output=True, encoding="utf-8"
    )
    return done.stdout


def told(jar: Path, paths: Sequence[Path]) -> list[dict[str, str]]:
    """Give what ImageJ says of each file."""
    found: list[dict[str, str]] = []
    for line in imagej(jar, "tell", *paths).splitlines():
        name, said = line.split("\t", 1)
        if name == "file":
            found.append({})
        else:
            found[-1][name] = said
    return found


def differences(jar: Path, folder: Path) -> list[str]:
    """Export all that ImageJ wrote; give what it sees differently in the results."""
    from training_core.export.writers import write_stack
    from training_core.io.readers import open_stack

    imagej(jar, "make", folder)
    found = []
    paths = sorted(folder.glob("*.tif"))
    results = [write_stack(open_stack(path), folder / f"result_{path.name}") for path in paths]
    for path, before, after in zip(paths, told(jar, paths), told(jar, results), strict=True):
        for name in before.keys() | after.keys():
            if name == "notes" and before[name] == "null":
                continue  # that of how the pixels were made is the first
            if before.get(name) != after.get(name):
                lines = f"{before.get(name)!r}, {after.get(name)!r}"
                found.append(f"{path.name}: {name} was, is {lines}")
        sys.stdout.write(f"{path.name}: {len(before)} facts compared\n")
    return found


def main() -> int:
    """Compare, and tell what differs."""
    jar = Path(sys.argv[1]) if len(sys.argv) > 1 else DEBIAN
    if not jar.is_file():
        sys.stderr.write(f"{__doc__}\n")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        found = differences(jar, Path(folder))
    sys.stdout.writelines(f"{line}\n" for line in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
