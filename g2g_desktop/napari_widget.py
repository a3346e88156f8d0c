"""The widget "Denoise with g2g" of napari, over the same core; no Qt of ours is used here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox, Container, FileEdit, Label, PushButton, create_widget
from napari.layers import Image
from napari.qt.threading import create_worker

from training_core.errors import CoreError, InputError
from training_core.formats.axes import GUESSED_AXES
from training_core.run import Cancelled, Run
from training_core.stack import Stack

if TYPE_CHECKING:
    from numpy.typing import NDArray

PRESETS = ("instant", "quick", "balanced")
MODEL = ".g2g"


def make_widget() -> Any:
    """Make the widget; napari calls this, and fills in the image layers to choose from."""
    return _Denoising().container


class _Denoising:
    """The parts of the widget, and the calculation that runs beside the viewer, if any."""

    def __init__(self) -> None:
        self.image = create_widget(annotation=Image, label="Image")
        self.preset = ComboBox(label="Preset", choices=PRESETS, value="quick")
        self.model = FileEdit(label="or model", filter=f"*{MODEL}", nullable=True, value=None)
        self.start = PushButton(text="Denoise")
        self.stop = PushButton(text="Cancel", enabled=False)
        self.told = Label(value="")
        self.run = Run()
        parts = [self.image, self.preset, self.model, self.start, self.stop, self.told]
        self.container = Container(widgets=parts)
        self.container.denoising = self  # lives as long as what is shown
        self.start.clicked.connect(self._on_start)
        self.stop.clicked.connect(self._on_stop)

    def _on_start(self) -> None:
        layer = self.image.value
        if layer is None:
            self.told.value = "Open an image first."
            return
        self.run = Run()
        model = self.model.value
        chosen = model if model and Path(model).suffix == MODEL else self.preset.value
        worker = create_worker(denoised, layer.data, chosen, self.run, rgb=layer.rgb)
        worker.returned.connect(lambda pixels: self._on_denoised(layer, pixels))
        worker.errored.connect(self._on_failed)
        self._show_running(running=True)
        self.told.value = f"Denoising {layer.name}..."
        worker.start()

    def _on_stop(self) -> None:
        self.told.value = "Stopping..."
        self.run.cancel()

    def _on_denoised(self, layer: Image, pixels: NDArray[Any]) -> None:
        from napari import current_viewer

        self._show_running(running=False)
        made = {"name": f"{layer.name} denoised", "scale": layer.scale, "units": layer.units}
        made |= {"translate": layer.translate, "colormap": layer.colormap}
        viewer = current_viewer()
        if viewer is not None:  # it may have been closed meanwhile
            viewer.add_image(pixels, contrast_limits=layer.contrast_limits, **made)
        self.told.value = "Done. The noisy image is below the denoised one."

    def _on_failed(self, error: Exception) -> None:
        self._show_running(running=False)
        if isinstance(error, Cancelled):
            self.told.value = "Cancelled."
        elif isinstance(error, CoreError):
            self.told.value = str(error)
        else:
            self.told.value = f"A fault of the program: {error!r}"

    def _show_running(self, *, running: bool) -> None:
        self.start.enabled, self.stop.enabled = not running, running


def denoised(data: Any, chosen: Path | str, run: Run, *, rgb: bool = False) -> NDArray[Any]:
    """Denoise the pixels of a layer, in their own data type.

    Parameters
    ----------
    data
        An array or what is like one, (height, width) and up to three axes before; of several
        resolutions the finest is taken.
    chosen
        A preset, or the path of a model.
    run
        Cancelled from the thread of the viewer.
    rgb
        Whether the last axis is colours, which cannot be denoised.

    Raises
    ------
    InputError
        For colours, more than five axes, or what the core refuses.
    Cancelled
        If the run was cancelled.
    """
    from training_core.denoise.model_file import load_denoiser
    from training_core.denoise.suited import suited_to
    from training_core.denoise.tiled import denoise
    from training_core.pipeline import denoise_stack
    from training_core.settings import preset
    from training_core.stack import cast_like

    pixels = data[0] if hasattr(data, "data_slices") or isinstance(data, list | tuple) else data
    if rgb or pixels.ndim not in GUESSED_AXES:
        raise InputError("Colour pictures cannot be denoised; split the channels first.")
    stack = Stack(pixels, GUESSED_AXES[pixels.ndim])
    if isinstance(chosen, Path):
        made = denoise(stack, suited_to(load_denoiser(chosen), stack, run), run=run)
    else:
        made = denoise_stack(stack, preset(chosen), run=run).denoised
    result: NDArray[Any] = cast_like(made, stack).pixels
    return result
