"""Run the macro for Fiji in a real ImageJ: is the result what the command gives, with calibration?

    python tests/oracles/fiji_macro.py /usr/share/java/ij.jar

That is ImageJ 1 of Debian's package imagej (of Fiji: jars/ij-*.jar); no screen is needed, but Java
of 11 or later. The three questions, which Fiji asks by script parameters, are answered before;
everything else of the macro runs as it is. What differs is printed, and the exit code is then 1.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tifffile

ROOT = Path(__file__).resolve().parents[2]
HEADLESS = Path(__file__).with_name("HeadlessMacro.java")
MACRO = ROOT / "packaging" / "fiji" / "Denoise_with_g2g.ijm"
sys.path.insert(0, str(ROOT))


def answered(macro: str, answers: dict[str, str]) -> str:
    """Give the macro with its script parameters as assignments."""
    asked = dict.fromkeys(re.findall(r"^#@ .* (\w+)$", macro, flags=re.MULTILINE))
    if asked.keys() != answers.keys():
        raise SystemExit(f"The macro asks for {', '.join(asked)}.")
    return re.sub(
        r"^#@ .* (\w+)$", lambda m: f'{m[1]} = "{answers[m[1]]}";', macro, flags=re.MULTILINE
    )


def main() -> int:
    """Run the macro on a small stack, and compare."""
    if len(sys.argv) != 2:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        noisy, made, wanted = (folder / f"{kind}.tif" for kind in ("cells", "macro", "wanted"))
        scene = 300 + 100 * (np.indices((96, 96)).sum(0) > 96)
        pixels = np.random.default_rng(0).normal(scene, 20, (2, 96, 96)).astype(np.uint16)
        tifffile.imwrite(
            noisy,
            pixels,
            imagej=True,
            resolution=(8.0, 8.0),
            metadata={"axes": "ZYX", "unit": "um", "spacing": 0.5},
        )
        command = folder / "g2g"
        module = shlex.join([sys.executable, "-m", "training_core"])
        command.write_text(f'#!/bin/sh\ncd {shlex.quote(str(ROOT))}; exec {module} "$@"\n')
        command.chmod(0o755)
        answers = {"command": str(command), "model": "", "preset": "instant"}
        macro = answered(MACRO.read_text("utf-8"), answers)
        script = folder / "run.ijm"
        script.write_text(f'open("{noisy}");\n{macro}\nsaveAs("Tiff", "{made}");\n')
        java = ["java", "-Djava.awt.headless=true", "-cp", sys.argv[1], str(HEADLESS), str(script)]
        subprocess.run(java, check=True, timeout=900)
        run = ["run", str(noisy), "--preset", "instant", "--output", str(wanted)]
        subprocess.run([str(command), *run], check=True, stdout=subprocess.DEVNULL)
        found = differences(noisy, made, wanted)
    sys.stdout.writelines(f"{line}\n" for line in found or ["The macro gives what g2g gives."])
    return 1 if found else 0


def differences(noisy: Path, made: Path, wanted: Path) -> list[str]:
    """Say what is not as it should be in what the macro made."""
    from training_core.io.readers import open_stack

    before, after, plain = (open_stack(path) for path in (noisy, made, wanted))
    told = [
        f"{name} was {getattr(before, name)}, is {getattr(after, name)}"
        for name in ("axes", "shape", "dtype", "pixel_size")
        if getattr(before, name) != getattr(after, name)
    ]
    if not np.array_equal(np.asarray(after.pixels), np.asarray(plain.pixels)):
        told.append("the pixels are not those of the command")
    return told


if __name__ == "__main__":
    sys.exit(main())
