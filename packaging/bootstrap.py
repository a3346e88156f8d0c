"""Prepare the environment of g2g desktop where that is needed, then use it.

python3 packaging/bootstrap.py app [STACK...]      start the window, with a sample stack open
python3 packaging/bootstrap.py test [OPTION...]    lint, types and all tests; OPTION is for pytest
python3 packaging/bootstrap.py demo                denoise the bundled sample into the folder demo
python3 packaging/bootstrap.py exec COMMAND...     run a command, such as g2g, in the environment

Only the standard library is used, because nothing else is there yet. The environment is the folder
.venv of the checkout; delete it to begin anew. On Linux without an NVIDIA GPU a processor build of
torch is taken, from the wheel folders pip is configured with or else from PyTorch's own index. Set
G2G_TORCH to another requirement, such as torch==2.12.0, to choose the build yourself.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
READY = VENV / "g2g-ready"
UNFINISHED = VENV / "g2g-unfinished"
CONSTRAINTS = ROOT / "packaging" / "constraints.txt"
NOISY = ROOT / "resources" / "samples" / "fluorescence_noisy.tif"
CLEAN = NOISY.with_name("fluorescence_clean.tif")

# A process a core, each with whole files in the order that `tests/conftest.py` gives. A new process
# in the place of a dead one would run the test it died in again, up to four times a core, and each
# that hangs takes 300 s: so none is started, the test fails, and the others end what they have.
ENDS = "--max-worker-restart=0"
BOTH_CORES = ["-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder", ENDS]

# What Qt loads, and the Debian package that holds it.
QT_LIBRARIES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libfontconfig.so.1": "libfontconfig1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libglib-2.0.so.0": "libglib2.0-0",
}
SCREEN_LIBRARIES = {
    **QT_LIBRARIES,
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-shape.so.0": "libxcb-shape0",
}


def main(arguments: Sequence[str]) -> int:
    """Run one verb; give its exit status."""
    verbs = {"app": app, "test": test, "demo": demo, "exec": execute}
    if not arguments or arguments[0] not in verbs:
        say(__doc__ or "")
        return 0 if arguments and arguments[0] in ("-h", "--help") else 2
    return verbs[arguments[0]](list(arguments[1:]))


def app(stacks: list[str]) -> int:
    """Start the window on `stacks`, or on a bundled sample; without a screen run the demo."""
    if not has_screen():
        say("There is no screen here (DISPLAY and WAYLAND_DISPLAY are not set): running the demo.")
        return demo([])
    prepare()
    provide(missing_libraries(SCREEN_LIBRARIES), required=True)
    return hand_over([str(PYTHON), "-m", "g2g_desktop", *(stacks or [str(NOISY)])])


def test(options: list[str]) -> int:
    """Run the linter, the type checker and the tests; give pytest's status, or 1 for another."""
    prepare()
    provide(missing_libraries(QT_LIBRARIES), required=True)
    checks = {
        "ruff check": ["ruff", "check", "."],
        "ruff format": ["ruff", "format", "--check", "."],
        "mypy": ["mypy"],
        "pytest": ["pytest", *BOTH_CORES, *options],
    }
    # A thread for each process, or they would take the cores from each other.
    usual = {"QT_QPA_PLATFORM": "offscreen", "OMP_NUM_THREADS": "1"}
    calm = {name: os.environ.get(name, value) for name, value in usual.items()}
    status = {"import-linter": subprocess.call([str(BIN / "lint-imports")], cwd=ROOT)}
    status |= {name: in_environment(command, **calm) for name, command in checks.items()}
    failed = [name for name, code in status.items() if code]
    say(f"Failed: {', '.join(failed)}." if failed else "All checks passed.")
    return status["pytest"] or int(bool(failed))


def demo(_: list[str]) -> int:
    """Denoise the bundled sample into the folder demo, with a figure of before and after."""
    prepare()
    denoised, figure = ROOT / "demo" / "denoised.tif", ROOT / "demo" / "before_after.png"
    denoised.parent.mkdir(exist_ok=True)
    job = ["run", NOISY, "--output", denoised, "--preset", "quick", "--overwrite"]
    check = ["compare", NOISY, denoised, "--reference", CLEAN, "--figure", figure, "--overwrite"]
    status = in_environment(["training_core", *job]) or in_environment(["training_core", *check])
    if not status:
        say(f"The denoised stack is {denoised}; before and after are in {figure}.")
    return status


def execute(command: list[str]) -> int:
    """Become `command`, run in the environment from the present folder."""
    if not command:
        say("Name the command to run, for example: exec g2g --help.")
        return 2
    prepare()
    return hand_over(command)


def say(sentence: str) -> None:
    """Tell the user something without touching what a command writes."""
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()


def has_screen() -> bool:
    """Tell whether a window can be shown, or Qt was told how to do without a screen."""
    names = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return sys.platform != "linux" or any(os.environ.get(name) for name in names)


def child_environment(**extra: str) -> dict[str, str]:
    """Give the variables for a child, with the environment's commands first."""
    path = f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    # Spinning OpenMP threads make a busy machine many times slower (set before torch is loaded).
    calm = {"OMP_WAIT_POLICY": "PASSIVE"}
    return {**calm, **os.environ, "PATH": path, "VIRTUAL_ENV": str(VENV), **extra}


def in_environment(module_and_options: Iterable[object], **extra: str) -> int:
    """Run a module of the environment in the checkout and give its exit status."""
    command = [str(PYTHON), "-m", *map(str, module_and_options)]
    return subprocess.call(command, cwd=ROOT, env=child_environment(**extra))


def hand_over(command: Sequence[str]) -> int:
    """Become `command`, so that signals and the exit status are its own, or give its status."""
    environment = child_environment()
    program = shutil.which(command[0], path=environment["PATH"])
    if program is None:
        say(f"There is no command {command[0]!r} in the environment or on the path.")
        return 127
    if os.name == "posix":
        os.execve(program, list(command), environment)
    return subprocess.call([program, *command[1:]], env=environment)


def prepare() -> None:
    """Set the environment up, unless it stands as the project files ask."""
    if is_ready():
        return
    started = time.monotonic()
    say(f"Setting up {VENV}: a few minutes, once.")
    python = missing_parts_of_python()
    provide({**python, **missing_libraries(SCREEN_LIBRARIES)}, required=bool(python))
    works = belongs_here() and not UNFINISHED.exists()
    if not works:
        make_environment()
    renew(keep=works)
    say(f"Set up in {time.monotonic() - started:.0f} s.")


def is_ready() -> bool:
    """Tell whether the environment was finished, in this place, for these project files."""
    finished = READY.is_file() and PYTHON.exists() and not UNFINISHED.exists()
    return finished and READY.read_text("utf-8") == fingerprint()


def renew(*, keep: bool) -> None:
    """Install what is asked for; after an interruption the environment is made anew next time."""
    UNFINISHED.touch()
    try:
        install()
    except SystemExit:
        # pip has undone its own failure, so without a network the packages of before still work.
        if keep:
            UNFINISHED.unlink()
        raise
    READY.write_text(fingerprint(), "utf-8")
    UNFINISHED.unlink()


def fingerprint() -> str:
    """Give one line for where and with which Python, and one for what is installed."""
    texts = ((ROOT / "pyproject.toml").read_bytes(), CONSTRAINTS.read_bytes())
    digest = hashlib.sha256(b"\0".join(texts)).hexdigest()
    return f"{sys.version_info[0]}.{sys.version_info[1]} {ROOT}\n{digest}\n"


def belongs_here() -> bool:
    """Tell whether the environment works and was made in this place with this Python."""
    if not PYTHON.exists():
        return False
    if READY.is_file():
        return READY.read_text("utf-8").splitlines()[:1] == fingerprint().splitlines()[:1]
    asked = [str(PYTHON), "-c", "import pip, sys; print(*sys.version_info[:2], sep='.')"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    return answer.stdout.split() == fingerprint().split()[:1]


def make_environment() -> None:
    """Make the environment anew; the mark of an unfinished one outlives an interruption."""
    VENV.mkdir(exist_ok=True)
    UNFINISHED.touch()
    for old in VENV.iterdir():
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        elif old != UNFINISHED:
            old.unlink()
    # The Python that runs this script may be the one that was just deleted.
    python = getattr(sys, "_base_executable", None) or sys.executable
    must([python, "-m", "venv", str(VENV)], "The environment could not be made")


def install() -> None:
    """Install torch in the right build, the packages that are locked, and the project with them.

    Of each locked package pip takes only a file with a known hash. Those of torch differ between
    builds and places, so what it needs beyond the locked (CUDA) is taken as the index has it.
    """
    # Imported here, so that an older Python gets as far as the sentence about its version.
    from torch_build import torch_arguments

    torch, *source = torch_arguments(PYTHON, (ROOT / "pyproject.toml").read_text("utf-8"))
    say(f"Installing {torch}{' from ' + source[1] if source else ''}.")
    pip("install", "--no-deps", torch, *source)
    pip("install", "--require-hashes", "--no-deps", "-r", str(CONSTRAINTS))
    pip("install", "--no-build-isolation", torch, "-e", ".[dev]")


def pip(*arguments: str) -> None:
    """Run the environment's pip in the checkout."""
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", *arguments]
    must(command, "The packages could not be installed; run the same command again to retry")


def must(command: Sequence[str], complaint: str) -> None:
    """Run a command that has to work, or stop with a sentence; all it says goes to stderr."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if subprocess.call(command, cwd=ROOT, env=environment, stdout=2):
        sys.exit(f"{complaint}. What failed: {shlex.join(command)}")


def provide(missing: dict[str, str], *, required: bool) -> None:
    """Install what the system misses, or name all of it in one line; stop if it is required."""
    if not missing or install_packages([*missing.values()]):
        return
    remedy = f"on Debian and Ubuntu run: sudo apt-get install -y {' '.join(missing.values())}"
    sentence = f"This system lacks {', '.join(missing)}; {remedy}"
    if required:
        sys.exit(sentence)
    say(sentence)


def missing_parts_of_python() -> dict[str, str]:
    """Give what Debian leaves out of Python for making environments, and its package."""
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    modules = ("venv", "ensurepip")
    return {f"Python's {m}": package for m in modules if not importlib.util.find_spec(m)}


def missing_libraries(needed: dict[str, str]) -> dict[str, str]:
    """Give those libraries that the dynamic linker does not find, and their packages."""
    return {k: needed[k] for k in needed if sys.platform == "linux" and not loads(k)}


def loads(library: str) -> bool:
    """Tell whether the dynamic linker finds a library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def install_packages(names: Sequence[str]) -> bool:
    """Install Debian packages when root may; tell whether that was possible."""
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return False
    say(f"Installing the system packages {' '.join(names)}.")
    must(["apt-get", "update", "-qq"], "The list of system packages could not be read")
    plain = ["-y", "-qq", "--no-install-recommends", "-o=Dpkg::Use-Pty=0"]
    must(["apt-get", "install", *plain, *names], "The system packages could not be installed")
    return True


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036  (the one place where an older Python may arrive)
        sys.exit(f"g2g desktop needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:  # the command that was running has heard it too
        sys.exit(130)
