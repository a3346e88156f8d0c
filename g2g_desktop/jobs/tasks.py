"""What the window asks of the core, as functions for a `Job`.

Torch and the readers are imported in them, so that the window is there before they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtGui import QImage

from g2g_desktop.model.contrast import shades
from g2g_desktop.model.states import Device, ExpectedTime
from g2g_desktop.preferences import load_preferences
from training_core.costs import in_order, remembered
from training_core.settings import PRESETS, preset
from training_core.stack import as_float32, cast_like, check_trainable, spread, tell_flaws

from .modules import modules_coming

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from g2g_desktop.model.result import Story
    from training_core.costs import Span
    from training_core.denoise.denoiser import Denoiser
    from training_core.first_look import Look
    from training_core.io.previews import ImagePreview
    from training_core.patches.gallery import SeenPatch
    from training_core.patches.smooth_patches import SmoothPatches
    from training_core.place import PatchLocation
    from training_core.reporting.likeness import Likeness
    from training_core.run import Run
    from training_core.settings import PatchSettings, Settings
    from training_core.stack import Pixels, Stack


LIST_PX = 80  # of the side of a picture in the list of files
STRIP_PX, MOST_IN_STRIP = 56, 5  # pictures over the axes of a stack


@dataclass(frozen=True, slots=True)
class ExportChoice:
    """Where the result goes, and in which data type: "same" as the input, or "float32".

    The name of `path` says in which format. `names` says whether the names of the noisy files are
    written into it.
    """

    path: Path
    dtype: str = "same"
    overwrite: bool = False
    names: bool = True
    compression: str = "none"


@dataclass(frozen=True, slots=True)
class ImageChoice:
    """A file that holds several images, of which the user has to choose one."""

    path: Path
    previews: Sequence[ImagePreview]


def read_stack(paths: Sequence[Path], run: Run, series: int | None = None) -> Stack:
    """Open what was dropped: a file, an image of it, several files of one shape, or a folder."""
    from training_core.io.readers import open_stack

    return open_stack(
        paths if len(paths) > 1 else paths[0],
        series=series,
        axes=load_preferences().axes_at(paths[0]),
        run=run,
    )


def read_or_ask(paths: Sequence[Path], run: Run, series: int | None = None) -> Stack | ImageChoice:
    """Open what was dropped, or list the images of a file that holds several."""
    stack = read_stack(paths, run, series)
    if series is not None or not stack.series:
        return stack
    from training_core.io.previews import image_previews

    return ImageChoice(paths[0], image_previews(paths[0], run=run))


def read_with_result(
    paths: Sequence[Path], output: Path | None, run: Run, series: int | None = None
) -> tuple[Stack, Stack | None] | ImageChoice:
    """Read a stack, and its result where that is on disk and still fits, as `read_or_ask` does."""
    from training_core.errors import CoreError

    stack = read_or_ask(paths, run, series)
    if isinstance(stack, ImageChoice):
        return stack
    if output is None or not output.is_file():
        return stack, None
    try:
        result = read_stack([output], run)
    except CoreError as error:
        run.note(f"The result {output.name} cannot be shown: {error}", warning=True)
        return stack, None
    same = (result.shape, result.axes) == (stack.shape, stack.axes)
    return stack, result if same else None


def find_stacks(paths: Sequence[Path], run: Run) -> list[tuple[Path, ...]]:
    """Name the stacks among files and folders that were chosen together.

    Raises
    ------
    InputError
        If there are none.
    """
    from training_core.batch.stacks import stacks_among
    from training_core.errors import InputError

    run.check()
    found = stacks_among(paths)
    if not found:
        raise InputError(f"{paths[0].name} holds no images that can be opened.")
    return found


def picture_of(
    paths: Sequence[Path], run: Run, series: int | None = None
) -> tuple[QImage | None, int]:
    """Draw a stack for the list of files; give that, or None, and the size on disk in bytes."""
    files = [one for path in paths for one in (path.rglob("*") if path.is_dir() else (path,))]
    size = sum(file.stat().st_size for file in files if file.is_file())
    from training_core.errors import CoreError

    try:
        stack = read_stack(paths, run, series)
    except CoreError:
        return None, size
    return _square(stack, stack.frame_count // 2, LIST_PX), size


def strip_of(stack: Stack, run: Run) -> list[tuple[int, QImage]]:
    """Draw some images along the longest axis but Y and X; give them with their numbers there."""
    lead = stack.shape[:-2]
    axis = int(np.argmax(lead))
    drawn = []
    for number in spread(lead[axis], MOST_IN_STRIP):
        run.check()
        place = [0] * len(lead)
        place[axis] = number
        frame = int(np.ravel_multi_index(place, lead))
        image = _square(stack, frame, STRIP_PX)
        drawn.append((number, image.scaled(STRIP_PX, STRIP_PX)))
    return drawn


def _square(stack: Stack, frame: int, side_px: int) -> QImage:
    """Draw the middle of a frame, at least so many pixels a side where it has them."""
    grey = shades(stack.raw_frame(frame))
    side = min(grey.shape)
    top, left = ((length - side) // 2 for length in grey.shape)
    step = max(side // side_px, 1)
    square = np.ascontiguousarray(grey[top : top + side : step, left : left + side : step])
    height, width = square.shape
    kind = QImage.Format.Format_Grayscale8
    return QImage(square.tobytes(), width, height, width, kind).copy()


def find_patches(stack: Stack, settings: PatchSettings, run: Run) -> SmoothPatches:
    """Find the smooth patches of the whole stack, and judge what they hold.

    Raises
    ------
    InputError
        If nothing can be learned from the stack.
    """
    check_trainable(stack)
    from training_core.patches.purity import judged_patches

    return judged_patches(stack, settings, run=run)


def gallery(
    stack: Stack, patches: SmoothPatches, settings: PatchSettings, run: Run
) -> list[SeenPatch]:
    """Give some patches that were taken, and some that were refused for each reason."""
    from training_core.patches.gallery import patch_gallery

    return patch_gallery(stack, patches, settings, run=run)


def start_engine(run: Run) -> Device:
    """Import torch ahead of its use, and name the device; clear up after windows that crashed."""
    with modules_coming():
        from training_core.compute import device
        from training_core.frames import remove_left_frames

    device.limit_threads()
    remove_left_frames()
    chosen = device.choose_device("auto", run=run)
    why = device.why_no_gpu() if chosen.type == "cpu" else ""
    return Device(device.describe_device(chosen), why)


def expected_time(stack: Stack, settings: Settings, run: Run) -> ExpectedTime:
    """Tell how long training and denoising will take, by what earlier jobs took here, if any."""
    from training_core import pipeline
    from training_core.compute import device

    device.limit_threads()
    kept = {"seed": settings.seed, "device": settings.device, "patches": settings.patches}
    times: dict[str, Span | None] = {}
    with remembered(run.costs):
        for name in PRESETS:
            run.check()
            times[name] = pipeline.expected_time(stack, preset(name, **kept), run.costs)
        ordered = dict(zip(times, in_order(list(times.values())), strict=True))
        if settings == preset(settings.preset, **kept):
            return ExpectedTime(ordered[settings.preset], ordered)
        return ExpectedTime(pipeline.expected_time(stack, settings, run.costs), ordered)


def first_look(
    kept: list[Look],
    stack: Stack,
    settings: Settings,
    frame: int,
    place: PatchLocation,
    run: Run,
) -> Pixels:
    """Denoise a region with the bundled network; `kept` gets what is known of the stack."""
    from training_core.compute import device
    from training_core.first_look import Look

    device.limit_threads()
    if not kept:
        kept.append(Look(stack, settings.device, settings.patches))
    return kept[0].region(frame, place, run)


def train(stack: Stack, settings: Settings, folder: Path, run: Run) -> Denoiser:
    """Learn a denoiser from the stack, going on from what `folder` keeps and keeping it there."""
    from training_core import pipeline
    from training_core.compute import checkpoint, device

    device.limit_threads()
    if settings.noise_model.steps or settings.denoiser.rounds:
        with modules_coming():
            import_module("torch._dynamo")  # as the first step of an optimiser would
    kept = checkpoint.Checkpoint(folder, run=run, save_cancelled=False)  # it is discarded
    with remembered(run.costs):
        return pipeline.train([stack], settings, run=run, checkpoint=kept).denoiser


def denoise(stack: Stack, denoiser: Denoiser, run: Run) -> Stack:
    """Denoise the stack, in floating point; tell what its own data type would clip."""
    from training_core.compute import device
    from training_core.denoise import tiled as core
    from training_core.denoise.suited import suited_to

    device.limit_threads()
    with remembered(run.costs):
        denoised = core.denoise(stack, suited_to(denoiser, stack, run), run=run)
    tell_flaws(denoised, stack, run)
    return denoised


def compare_model(denoiser: Denoiser, stack: Stack, run: Run) -> Likeness:
    """Tell how a model suits a stack."""
    from training_core.reporting.likeness import likeness

    return likeness(denoiser, stack, run=run)


def apply_model(
    stack: Stack, denoiser: Denoiser, alike: Likeness | None, run: Run
) -> tuple[Stack, Likeness]:
    """Denoise the stack with a model, and say how that suits it, where nobody has asked yet."""
    alike = alike or compare_model(denoiser, stack, run)
    return denoise(stack, denoiser, run), alike


def load_model(path: Path, run: Run) -> Denoiser:
    """Open a model file."""
    from training_core.denoise.model_file import load_denoiser

    run.check()
    return load_denoiser(path)


def save_model(denoiser: Denoiser, path: Path, run: Run) -> Path:
    """Write a model file; that an existing one may be replaced was asked before."""
    from training_core.denoise.model_file import save_denoiser

    run.check()
    return save_denoiser(denoiser, path, overwrite=True)


def export(
    noisy: Stack, denoised: Stack, denoiser: Denoiser | Story, choice: ExportChoice, run: Run
) -> Path:
    """Write the result with the story of its making inside, in the data type that was chosen."""
    from training_core.batch.outputs import check_outputs
    from training_core.denoise.model_card import without_names
    from training_core.export.writers import write_stack

    check_outputs([choice.path], [noisy.source] if noisy.source else [])
    denoised = as_float32(denoised) if choice.dtype == "float32" else cast_like(denoised, noisy)
    story = denoiser.card if choice.names else without_names(denoiser.card)
    return write_stack(
        denoised,
        choice.path,
        overwrite=choice.overwrite,
        description=story,
        compression=choice.compression,
        names=choice.names,
        run=run,
    )


def thumbnail(path: Path, run: Run) -> QImage:
    """Draw the first frame of a stack, as the viewer would, for a button."""
    from training_core.io.readers import open_stack

    stack = open_stack(path, run=run)
    grey = shades(stack.raw_frame(0))
    height, width = grey.shape
    data = grey.tobytes()
    image = QImage(data, width, height, width, QImage.Format.Format_Grayscale8)
    return image.copy()  # an image of its own, not a window on `data`
