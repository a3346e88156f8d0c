"""The command `g2g`: everything the window does, without a window."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from training_core.costs import remembered
from training_core.errors import UsageError
from training_core.resources import program
from training_core.run import Cancelled, Run
from training_core.settings import Settings, limits_of

from . import torchrun
from .terminal import Terminal, silence

if sys.platform == "linux":
    import resource

BAD_INPUT, CANCELLED = 2, 130
_STACK = "a file, or a folder of slices or of DICOM"
LEAST_MEMORY = 2**30  # with less torch aborts the process


class _Parser(argparse.ArgumentParser):
    """Answers a wrong command line in one sentence."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].upper()}{message[1:]}; see {self.prog} --help.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code (0, 2 bad input, 3 some of a batch failed, 130)."""
    # Read when torch is imported: its threads then sleep between two steps instead of spinning,
    # which on a busy machine is several times faster.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    terminal = Terminal(sys.stderr or io.StringIO())  # closed, it tells nobody
    run = Run(terminal)
    try:
        _check_process()
        if torchrun.helps():
            return torchrun.help_first()
        arguments = command_parser().parse_args(argv)
        with _interruptible(run), remembered(run.costs), torchrun.joined(arguments):
            from . import commands as work  # loads what reads files, slowly

            code: int = work.COMMANDS[arguments.command](arguments, run)
    except (Cancelled, KeyboardInterrupt):
        terminal.close()
        terminal.say("g2g: Cancelled.")
        return CANCELLED
    except BrokenPipeError:  # nobody reads any more
        silence(sys.stdout)
        return BAD_INPUT
    except Exception as error:  # noqa: BLE001 - the last catch: a sentence instead of a traceback
        from training_core.batch.reasons import foreseen, sentence

        from .answer import INTERNAL_ERROR

        terminal.close()
        terminal.say(f"g2g: {sentence(error)}")
        return BAD_INPUT if foreseen(error) else INTERNAL_ERROR
    return code


def _check_process() -> None:
    """Refuse to begin what could only end in an abort or without an answer."""
    if sys.stdout is None:
        raise UsageError("Standard output is closed, so there is nowhere to answer; leave it open.")
    try:
        os.getcwd()
    except OSError:
        told = "The folder in which this command was started is not there any more; choose another."
        raise UsageError(told) from None
    if sys.platform == "linux":
        allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
        if allowed != resource.RLIM_INFINITY and allowed < LEAST_MEMORY:
            raise UsageError(
                f"Only {allowed / 2**30:.1f} GB of memory are allowed here (ulimit -v); at least "
                f"{LEAST_MEMORY / 2**30:.0f} GB are needed."
            )


@contextmanager
def _interruptible(run: Run) -> Iterator[None]:
    """Let Ctrl-C cancel the run between two steps, so that nothing is left half-written."""

    def cancel(signum: int, frame: object) -> None:
        run.cancel()
        signal.signal(signum, signal.default_int_handler)  # asked twice: stop at once

    # Batch systems send SIGTERM before they kill, a terminal that is closed SIGHUP (not to nohup).
    asked = {signal.SIGINT, signal.SIGTERM}
    hang_up = getattr(signal, "SIGHUP", None)
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:
        asked.add(hang_up)
    previous = {s: signal.signal(s, cancel) for s in asked}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def command_parser() -> argparse.ArgumentParser:
    """Give the parser of `g2g` with all its commands."""
    parser = _Parser(prog="g2g", description="Blind denoising, learned from the noisy stack alone.")
    parser.add_argument("--version", action="version", version=program())
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    _add_looking(commands)
    _add_training(commands)
    _add_export(commands)
    _add_comparison(commands)
    _add_evaluation(commands)
    _add(commands, "self-test", "check the installation and the device, offline")
    return parser


def _add(commands: Any, name: str, about: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=about, description=about)
    parser.set_defaults(command=name)
    if name != "self-test":
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    if name not in ("self-test", "info"):
        parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    return parser


def _add_looking(commands: Any) -> None:
    parser = _add(commands, "info", "say what a stack holds")
    parser.add_argument("stack", type=_path, help=_STACK)
    _add_which(parser)

    parser = _add(commands, "patches", "find the smooth patches of a stack")
    parser.add_argument("stack", type=_path, help=_STACK)
    _add_which(parser)
    parser.add_argument("--strictness", default="auto", help="auto, or the limit of Eqn (4)")
    parser.add_argument("--size", type=int, help="patch size in pixels (32; 96 with a number)")
    parser.add_argument("--stride", type=int, help="stride in pixels (8; 24 with a number)")
    _add_area(parser)
    parser.add_argument("--figure", type=_path, help="draw them into a PNG file")


def _add_area(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--area",
        action="append",
        default=[],
        metavar="KIND:TOP,LEFT,HEIGHT,WIDTH",
        help="in: take the patches in a rectangle of every frame, in pixels, whatever they hold; "
        "out: take none that touches it; free: neither. Of a polygon give the corners instead: "
        "KIND:TOP,LEFT/TOP,LEFT/TOP,LEFT and so on. Again for more, the later one counts",
    )


def _add_training(commands: Any) -> None:
    for name, about in (
        ("train", "train one denoiser on one or more stacks"),
        ("denoise", "denoise stacks with a trained model"),
        ("run", "train on each stack and denoise it: the main job"),
    ):
        parser = _add(commands, name, about)
        parser.add_argument("stacks", type=_path, nargs="+", metavar="STACK", help=_STACK)
        _add_which(parser)
        parser.add_argument("--model", type=_path, required=name != "run", help="a .g2g file")
        parser.add_argument(
            "--resume", action="store_true", help="go on where the same command was interrupted"
        )
        parser.add_argument(
            "--no-source-names",
            action="store_true",
            help="write no names of stacks into results and models, as where they name patients",
        )
        _add_setting(parser, "device")
        if name != "denoise":
            _add_setting(parser, "preset")
            _add_setting(parser, "seed")
            parser.add_argument(
                "--set",
                action="append",
                default=[],
                metavar="NAME=VALUE",
                help="any other setting, such as denoiser.every_orientation=true; again for more",
            )
            _add_area(parser)
            parser.add_argument(
                "--repeats",
                type=_path,
                nargs="+",
                default=[],
                metavar="STACK",
                help="one or two further exposures of the only stack's scene, of the same shape: "
                "the best weights are chosen by them instead of the blind score, and nothing is "
                "learned from them",
            )
        if name != "train":
            _add_output(parser)
            parser.add_argument(
                "--reference",
                type=_path,
                metavar="CLEAN",
                help="a clean stack of the same field: stack and result are scored against it, and "
                "nothing is learned from it",
            )


def _add_export(commands: Any) -> None:
    parser = _add(commands, "export-model", "write the network of a kept denoiser for others")
    parser.add_argument("model", type=Path, metavar="MODEL", help="a .g2g file")
    parser.add_argument("stack", type=Path, help="a part of it goes along, to test the network")
    parser.add_argument(
        "--bioimageio",
        type=Path,
        required=True,
        metavar="OUT.zip",
        help="a package of bioimage.io: TorchScript, its description, and the part of the stack "
        "before and after; what it cannot do is said",
    )
    _add_which(parser)


def _add_output(parser: argparse.ArgumentParser) -> None:
    """Add what says where the results go, as what, and who makes them."""
    parser.add_argument(
        "--output",
        type=_path,
        required=True,
        metavar="FILE_OR_FOLDER",
        help="the ending of a file chooses its format: .tif (that of the input where it is "
        "TIFF), .ome.tif, .ome.zarr (a folder), .png (one plane), .dcm (DICOM from DICOM; "
        "a folder of that name for a series)",
    )
    parser.add_argument(
        "--dtype",
        choices=("same", "float32"),
        default="same",
        help="data type of the result: that of the stack, or floating point",
    )
    parser.add_argument(
        "--compression",
        choices=("none", "zlib", "zstd"),
        default="none",
        help="smaller files that take longer; Fiji reads none and zlib",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS|local:N",
        help="let the workers of a dask scheduler do it, or N processes of this computer: each "
        "takes a whole stack; a lone one that has a model is denoised by all of them",
    )


def _add_which(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--series",
        metavar="N|NAME|all",
        help="which image of a file that holds several; the largest by default",
    )
    parser.add_argument(
        "--axes",
        metavar="LETTERS",
        help="what the axes are where the file or its names say it wrongly, such as TZYX",
    )


def _add_comparison(commands: Any) -> None:
    parser = _add(commands, "compare", "measure what a denoiser did")
    parser.add_argument("noisy", type=_path, help="the stack as it was recorded")
    parser.add_argument("denoised", type=_path, help="what was made of it")
    parser.add_argument("--reference", type=_path, help="a clean stack of the same field")
    parser.add_argument("--figure", type=_path, help="draw before and after into a PNG file")
    parser.add_argument(
        "--window",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="clip both to these values first",
    )


def _add_evaluation(commands: Any) -> None:
    parser = _add(commands, "evaluate", "run published benchmarks again")
    parser.add_argument("tables", nargs="*", metavar="TABLE", help="such as bsd68-gaussian25")
    parser.add_argument("--list", action="store_true", help="name the tables")
    parser.add_argument("--data", type=_path, metavar="FOLDER", help="the benchmark sets")
    parser.add_argument(
        "--protocol",
        choices=("published", "sane", "both"),
        default="both",
        help="score as the published tables do, on the usual files, or both",
    )
    parser.add_argument("--methods", metavar="LIST", help="with commas, such as bm3d,g2g,oracle")
    parser.add_argument("--limit", type=_positive, metavar="N", help="only N test images")
    parser.add_argument("--output", type=_path, metavar="FOLDER", help="of the report")
    parser.add_argument(
        "--resume", action="store_true", help="go on with a training that was interrupted"
    )
    for name in ("preset", "seed", "device"):
        _add_setting(parser, name)


MOST_DIGITS = 18


def _path(text: str) -> Path:
    """Read the name of a file or folder; an empty one would be the folder that one is in."""
    if not text:
        raise argparse.ArgumentTypeError("an empty name was given; name a file or a folder")
    return Path(text)


def _positive(text: str) -> int:
    """Read a whole number from 1 on."""
    if not text.isdecimal() or len(text) > MOST_DIGITS or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _add_setting(parser: argparse.ArgumentParser, name: str) -> None:
    """Add an option for a setting, with the choices, the default and the help it declares."""
    limits = limits_of(Settings, name)
    default = getattr(Settings(), name)
    choices = limits.choices or None
    parser.add_argument(
        f"--{name}", type=type(default), default=default, choices=choices, help=limits.help
    )
