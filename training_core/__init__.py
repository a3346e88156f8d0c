"""GAN2GAN without a window: learn the noise of a stack, learn to remove it, remove it.

What scripts and notebooks need is here by name and loaded when it is first used, so that
`import training_core` takes no time and brings in neither torch nor a reader:

=============================  =====================================================================
`open_stack`, `write_stack`    files and folders in and out
`Stack`, `PixelSize`           pixels of any array with axes, size and unit
`preset`, `Settings`           what to train with, and for how long
`train`, `denoise_stack`       learn a denoiser from stacks; or do it and denoise, at once
`apply_denoiser`               denoise a stack with a denoiser that was trained on one like it
`save_denoiser`, `load_denoiser`    `.g2g` files
`find_smooth_patches`          where nothing but noise varies
`assess`, `compare_with_reference`  what was done, without a clean stack and with one
`as_float32`, `cast_like`      a result in floating point, or in the data type of the noisy stack
`Run`                          progress out, a stop in
`CoreError`                    anything that went wrong, as one sentence
=============================  =====================================================================
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .denoise.model_file import load_denoiser as load_denoiser
    from .denoise.model_file import save_denoiser as save_denoiser
    from .denoise.tiled import denoise as apply_denoiser  # noqa: F401 - named below
    from .errors import CoreError as CoreError
    from .export.writers import write_stack as write_stack
    from .io.readers import open_stack as open_stack
    from .patches.smooth_patches import find_smooth_patches as find_smooth_patches
    from .pipeline import denoise_stack as denoise_stack
    from .pipeline import train as train
    from .quality.measures import assess as assess
    from .quality.measures import compare_with_reference as compare_with_reference
    from .run import Run as Run
    from .settings import Settings as Settings
    from .settings import preset as preset
    from .stack import PixelSize as PixelSize
    from .stack import Stack as Stack
    from .stack import as_float32 as as_float32
    from .stack import cast_like as cast_like

# Where each name lives; `apply_denoiser` is `denoise` there, a name that the folder has here.
_PLACES = {
    "CoreError": "errors",
    "PixelSize": "stack",
    "Run": "run",
    "Settings": "settings",
    "Stack": "stack",
    "apply_denoiser": "denoise.tiled",
    "as_float32": "stack",
    "assess": "quality.measures",
    "cast_like": "stack",
    "compare_with_reference": "quality.measures",
    "denoise_stack": "pipeline",
    "find_smooth_patches": "patches.smooth_patches",
    "load_denoiser": "denoise.model_file",
    "open_stack": "io.readers",
    "preset": "settings",
    "save_denoiser": "denoise.model_file",
    "train": "pipeline",
    "write_stack": "export.writers",
}
_OTHER_NAMES = {"apply_denoiser": "denoise"}
__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    """Load a public name from where it lives, once.

    Raises
    ------
    AttributeError
        If there is no such name.
    """
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_PLACES[name]}"), _OTHER_NAMES.get(name, name))
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
