"""Where the bundled files are, in a source tree, a wheel and a frozen application alike."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_BESIDE = Path(__file__).resolve().parent.parent


def resource(name: str) -> Path:
    """Give the path of a bundled file, such as "samples/ct_noisy.tif"."""
    folders = (_BESIDE / "g2g_desktop" / "resources", _BESIDE / "resources")
    found = next((folder for folder in folders if folder.is_dir()), folders[0])
    return found / name


def program() -> str:
    """Name this program and its version, for provenance."""
    try:
        return f"g2g desktop {version('g2g-desktop')}"
    except PackageNotFoundError:
        return "g2g desktop"
