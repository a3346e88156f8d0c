"""Let ImageJ write files, export them, and let ImageJ say what it sees before and after.

    python tests/oracles/imagej.py ij.jar

`ij.jar` is ImageJ 1 (Debian: package libij-java; Fiji: jars/ij-*.jar); a JDK runs `ImageJ.java`
without a screen. Every line that differs is printed, and the exit code is then 1.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("ImageJ.java")
sys.path.insert(0, str(SOURCE.parents[2]))


def imagej(jar: Path, *arguments: str | Path) -> str:
    """Run ImageJ without a screen; give what it prints."""
    command = ["java", "-Djava.awt.headless=true", "-cp", str(jar), str(SOURCE)]
    done = subprocess.run(
        [*command, *map(str, arguments)], check=True, capture_output=True, encoding="utf-8"
    )
    return done.stdout


def told(jar: Path, path: Path) -> dict[str, str]:
    """Give what ImageJ says of a file."""
    return dict(line.split("\t", 1) for line in imagej(jar, "tell", path).splitlines())


def differences(jar: Path, folder: Path) -> list[str]:
    """Export all that ImageJ wrote; give what it sees differently in the results."""
    from training_core.export.writers import write_stack
    from training_core.io.readers import open_stack

    imagej(jar, "make", folder)
    found = []
    for path in sorted(folder.glob("*.tif")):
        result = write_stack(open_stack(path), folder / f"result_{path.name}")
        before, after = told(jar, path), told(jar, result)
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
    if len(sys.argv) != 2:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        found = differences(Path(sys.argv[1]), Path(folder))
    sys.stdout.writelines(f"{line}\n" for line in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
