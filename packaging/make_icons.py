"""Make the icons of the installers from `resources/icons/app.svg`.

    python packaging/make_icons.py OUT

g2g.ico for Windows, g2g.icns for macOS, and PNG files of several sizes for Linux and its desktops.
"""

from __future__ import annotations

import sys
from pathlib import Path

SVG = Path(__file__).resolve().parent.parent / "resources" / "icons" / "app.svg"
SIZES = (16, 32, 48, 64, 128, 256, 512, 1024)


def main(arguments: list[str]) -> int:
    """Write the icons into a folder."""
    from PIL import Image

    folder = Path(arguments[0] if arguments else "build")
    folder.mkdir(parents=True, exist_ok=True)
    images = {size: Image.open(draw(size, folder / f"g2g-{size}.png")) for size in SIZES}
    largest, rest = images[1024], [images[size] for size in SIZES[:-1]]
    largest.save(folder / "g2g.icns", append_images=rest)
    images[256].save(folder / "g2g.ico", append_images=rest[:5], sizes=[(s, s) for s in SIZES[:6]])
    return 0


def draw(size: int, path: Path) -> Path:
    """Draw the icon, `size` pixels across, into a PNG file."""
    from PySide6.QtCore import Qt
    from PySide6.QtGui import QImage, QPainter
    from PySide6.QtSvg import QSvgRenderer

    image = QImage(size, size, QImage.Format.Format_ARGB32)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    QSvgRenderer(str(SVG)).render(painter)
    painter.end()
    if not image.save(str(path)):
        raise OSError(f"{path} could not be written")
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
