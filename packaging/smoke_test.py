"""Try an installed g2g desktop, in whatever form: wheel, folder, .deb, .dmg, installer.

    python3 packaging/smoke_test.py [--g2g COMMAND] [--window COMMAND] [--root FOLDER]

It needs nothing but Python's standard library, and the samples beside this folder. The program may
be anywhere: with `--root` it is run in that file system by chroot, which needs no Python there. The
command tests itself, opens a sample, denoises it with the preset instant, and what it wrote is read
back and held against the clean sample; so is what the window makes of the same sample by itself
(`g2g-desktop --check`). Without a screen (DISPLAY) Qt's platform offscreen is used.

Exit code 0 if all is well; else 1, with a sentence on what is not.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

SAMPLES = Path(__file__).resolve().parent.parent / "resources" / "samples"
NOISY, CLEAN = "fluorescence_noisy.tif", "fluorescence_clean.tif"
SAME = ("axes", "shape", "dtype", "pixel_size_um", "channels")
PATIENCE_S = 1800
LEAST_GAIN_DB = 5.0


class Broken(Exception):
    """The program does not do what it is for; the text says what."""


@dataclass
class Place:
    """Where the program runs: the folder `work`, as seen from here and as the program sees it."""

    work: Path
    root: Path | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def seen(self, name: str) -> str:
        """Give the path of a file of the work folder, as the program sees it."""
        if self.root is None:
            return str(self.work / name)
        return str(PurePosixPath("/") / (self.work / name).relative_to(self.root).as_posix())

    def run(self, command: list[str]) -> str:
        """Run a command there; give what it printed.

        Raises
        ------
        Broken
            If it fails, with the end of what it said.
        """
        # Looked for where root has it, whatever path the program gets.
        chroot = shutil.which("chroot", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        inside = [chroot or "chroot", str(self.root)] if self.root else []
        try:
            done = subprocess.run(
                [*inside, *command],
                env=self.environment,
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Broken(f"{shlex.join(command)} did not run: {error}") from error
        if done.returncode:
            said = (done.stdout + done.stderr).strip()[-2000:]
            raise Broken(f"{shlex.join(command)} ended with {done.returncode}: {said}")
        return done.stdout


def environment(place: Place) -> dict[str, str]:
    """Give the variables of the program: nothing of the user's, and no Python of ours."""
    kept = ("PATH", "DISPLAY", "SYSTEMROOT", "TEMP", "OMP_NUM_THREADS", "LD_LIBRARY_PATH")
    values = {name: os.environ[name] for name in kept if name in os.environ}
    if place.root:
        values |= {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    if sys.platform == "linux" and not values.get("DISPLAY"):
        values |= {"QT_QPA_PLATFORM": "offscreen"}
    home = place.seen("home")
    return values | {"HOME": home, "USERPROFILE": home, "APPDATA": home, "LOCALAPPDATA": home}


def main(given: list[str] | None = None) -> int:
    """Try the program; give the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--g2g", default="g2g", help="the command, with options if need be")
    parser.add_argument("--window", default="g2g-desktop", help="the window, likewise")
    parser.add_argument("--root", type=Path, help="a file system to run them in")
    parser.add_argument("--facts", type=Path, help="write what was measured, as JSON")
    arguments = parser.parse_args(given)
    inside = arguments.root / "tmp" if arguments.root else None
    with tempfile.TemporaryDirectory(prefix="g2g-smoke-", dir=inside) as folder:
        place = Place(Path(folder), arguments.root)
        place.environment = environment(place)
        try:
            facts = try_command(place, shlex.split(arguments.g2g))
            facts |= try_window(place, shlex.split(arguments.g2g), shlex.split(arguments.window))
        except Broken as error:
            print(f"The smoke test failed. {error}")
            return 1
    print("\n".join(f"{name:24}{value}" for name, value in facts.items()))
    if arguments.facts:
        arguments.facts.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    print("The smoke test passed.")
    return 0


def try_command(place: Place, g2g: list[str]) -> dict[str, Any]:
    """Go the whole way with the command; give what was measured."""
    (place.work / "home").mkdir()
    for name in (NOISY, CLEAN):
        shutil.copy(SAMPLES / name, place.work / name)
    started = time.monotonic()
    facts = {"program": place.run([*g2g, "--version"]).strip()}
    facts["version_seconds"] = f"{time.monotonic() - started:.2f}"
    place.run([*g2g, "self-test"])
    instant = ["--preset", "instant", "--device", "cpu", "--json"]
    model, noisy = place.seen("model.g2g"), place.seen(NOISY)
    place.run([*g2g, "run", noisy, "--output", place.seen("run.tif"), *instant])
    place.run([*g2g, "train", noisy, "--model", model, *instant])
    kept = ["--model", model, "--output", place.seen("kept.tif"), "--device", "cpu"]
    place.run([*g2g, "denoise", noisy, *kept])
    before = compared(place, g2g, NOISY)["psnr"]
    after = {name: check_result(place, g2g, name) for name in ("run.tif", "kept.tif")}
    if after["run.tif"] != after["kept.tif"]:
        raise Broken(f"Denoising with the kept model gives another result: {after}.")
    if after["run.tif"] < before + LEAST_GAIN_DB:
        raise Broken(f"The PSNR is {before:.2f} dB before and {after['run.tif']:.2f} dB after.")
    return facts | {"psnr_before_db": round(before, 2), "psnr_after_db": round(after["run.tif"], 2)}


def try_window(place: Place, g2g: list[str], window: list[str]) -> dict[str, Any]:
    """Let the window go its way by itself; what it exports must be what the command makes."""
    started = time.time()
    error: Broken | None = None
    try:
        place.run([*window, "--check", place.seen("window")])
    except Broken as failed:
        error = failed
    report = place.work / "window" / "check.json"
    facts = json.loads(report.read_text("utf-8")) if report.exists() else {"error": "no report"}
    if error or facts["error"]:
        raise Broken(f"The window failed its check ({facts['error']}). {error or ''}")
    shutil.copy(place.work / "window" / "denoised.tif", place.work / "window.tif")
    by_window, by_command = (check_result(place, g2g, f"{name}.tif") for name in ("window", "run"))
    if abs(by_window - by_command) > 0.01:  # whose device may be another
        raise Broken(f"The window reaches {by_window:.2f} dB, the command {by_command:.2f} dB.")
    screen = place.environment.get("QT_QPA_PLATFORM", "a screen")
    seconds = {f"window_{step}_seconds": took for step, took in facts["seconds"].items()}
    stood = f"{facts['window_at'] - started:.2f}"
    return {"window_on": screen, "window_after_seconds": stood, **seconds}


def check_result(place: Place, g2g: list[str], name: str) -> float:
    """Read a result back: its shape must be the sample's; give its PSNR in dB."""
    asked = [json.loads(place.run([*g2g, "info", place.seen(n), "--json"])) for n in (NOISY, name)]
    for key in SAME:
        if asked[0][key] != asked[1][key]:
            raise Broken(f"{name} has {key} {asked[1][key]}, the sample {asked[0][key]}.")
    psnr: float = compared(place, g2g, name)["psnr"]
    return psnr


def compared(place: Place, g2g: list[str], name: str) -> dict[str, Any]:
    """Hold a stack against the clean sample."""
    stacks = [place.seen(NOISY), place.seen(name), "--reference", place.seen(CLEAN)]
    facts: dict[str, Any] = json.loads(place.run([*g2g, "compare", *stacks, "--json"]))
    return facts


if __name__ == "__main__":
    sys.exit(main())
