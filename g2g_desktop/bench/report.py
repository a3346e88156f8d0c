"""A page on one result: pictures, figures, settings, methods and citation, as PDF or HTML."""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QMarginsF, QRectF, QSizeF, Qt, QUrl
from PySide6.QtGui import (
    QFont,
    QImage,
    QImageWriter,
    QPageLayout,
    QPageSize,
    QPainter,
    QPdfWriter,
    QTextDocument,
)

from g2g_desktop.language import tr
from g2g_desktop.viewer.scale_bar import paint_scale_bar
from training_core.draft import draft
from training_core.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PICTURE_PX = 720  # side of a picture as it is stored
PAGE_PX = 700.0  # width that the page is laid out for
RESOLUTION = 150
STYLE = """
body { font-family: 'Segoe UI', 'Noto Sans', Helvetica, sans-serif; font-size: 10pt; }
body { color: #1c2026; }
h1 { font-size: 15pt; margin: 0 0 4px 0; }
h2 { font-size: 11pt; margin: 12px 0 4px 0; }
p { margin: 2px 0 4px 0; }
td { padding: 1px 10px 1px 0; }
.muted { color: #5d6673; font-size: 8.5pt; }
code { font-family: 'Cascadia Mono', 'DejaVu Sans Mono', monospace; font-size: 8.5pt; }
"""


@dataclass(frozen=True, eq=False)
class ReportPicture:
    """One picture of a report, as it is shown, with how long a pixel of it is; None if unknown."""

    name: str
    image: QImage
    um_per_px: float | None


@dataclass(frozen=True)
class ResultPage:
    """What a report says; `figures` and `settings` are (name, value, meaning)."""

    title: str
    subtitle: str
    verdict: str
    pictures: Sequence[ReportPicture]
    caption: str
    figures: Sequence[tuple[str, str, str]]
    settings: Sequence[tuple[str, str, str]]
    methods: str
    citation: str
    command: str


def write_report(report: ResultPage, path: Path) -> Path:
    """Write a report as HTML with the pictures in it, or by its ending as a PDF of one page.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    try:
        with draft(path) as temporary:
            if path.suffix.lower() == ".pdf":
                _write_pdf(report, temporary)
            else:
                temporary.write_text(_page(report, embedded=True), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"The report {path} cannot be written: {error.strerror}.") from error
    return path


def _write_pdf(report: ResultPage, path: Path) -> None:
    writer = QPdfWriter(str(path))
    writer.setResolution(RESOLUTION)
    writer.setTitle(tr(report.title))
    writer.setCreator("g2g desktop")
    layout = QPageLayout(
        QPageSize(QPageSize.PageSizeId.A4),
        QPageLayout.Orientation.Portrait,
        QMarginsF(14, 12, 14, 12),
        QPageLayout.Unit.Millimeter,
    )
    writer.setPageLayout(layout)
    document = QTextDocument()
    for number, picture in enumerate(report.pictures):
        name = QUrl(f"picture{number}.png")
        document.addResource(QTextDocument.ResourceType.ImageResource, name, with_scale(picture))
    document.setDefaultStyleSheet(STYLE)
    document.setHtml(_page(report, embedded=False))
    document.setTextWidth(PAGE_PX)
    painter = QPainter(writer)
    if not painter.isActive():
        raise OSError(5, "the page cannot be begun")
    size = QSizeF(writer.width(), writer.height())
    # One page is promised: what is longer is drawn smaller.
    scale = min(size.width() / PAGE_PX, size.height() / document.size().height())
    painter.scale(scale, scale)
    document.drawContents(painter, QRectF(0, 0, PAGE_PX, document.size().height()))
    painter.end()


def with_scale(picture: ReportPicture) -> QImage:
    """Give a picture of one size with a scale bar, where the size of a pixel is known."""
    mode = Qt.TransformationMode.SmoothTransformation
    shrunk = picture.image.width() > PICTURE_PX
    made = picture.image.scaled(
        PICTURE_PX,
        PICTURE_PX,
        Qt.AspectRatioMode.KeepAspectRatio,
        mode if shrunk else Qt.TransformationMode.FastTransformation,
    ).convertToFormat(QImage.Format.Format_RGB32)
    if picture.um_per_px:
        painter = QPainter(made)
        font = QFont()
        font.setPixelSize(22)
        um = picture.um_per_px * picture.image.width() / made.width()
        paint_scale_bar(painter, QRectF(made.rect()), um, font)
        painter.end()
    return made


def _page(report: ResultPage, *, embedded: bool) -> str:
    """Write the page in the HTML that Qt's documents know, which browsers know too."""
    width = int((PAGE_PX - 10 * len(report.pictures)) / max(len(report.pictures), 1))
    names, pictures = [], []
    for number, picture in enumerate(report.pictures):
        source = _data(with_scale(picture)) if embedded else f"picture{number}.png"
        names.append(f"<td><b>{_safe(picture.name)}</b></td>")
        pictures.append(
            f'<td><img src="{source}" width="{width}" alt="{_safe(picture.name)}"></td>'
        )
    head = f"<style>{STYLE}</style>" if embedded else ""
    return f"""<!DOCTYPE html><html><head><meta charset="utf-8">
<title>{_safe(report.title)}</title>{head}</head><body>
<h1>{_safe(report.title)}</h1>
<p class="muted">{_safe(report.subtitle)}</p>
<p><b>{_safe(report.verdict)}</b></p>
<table><tr>{"".join(names)}</tr><tr>{"".join(pictures)}</tr></table>
<p class="muted">{_safe(report.caption)}</p>
<h2>{_safe("Figures")}</h2>{_table(report.figures)}
<h2>{_safe("Settings")}</h2>{_table(report.settings)}
<h2>{_safe("Methods")}</h2><p>{_safe(report.methods)}</p>
<h2>{_safe("Citation")}</h2><p>{html.escape(report.citation)}</p>
<h2>{_safe("The same by command")}</h2>
<p><code>{html.escape(report.command)}</code></p>
</body></html>"""


def _table(rows: Sequence[tuple[str, str, str]]) -> str:
    cells = (
        f"<tr><td>{_safe(name)}</td><td><b>{_safe(value)}</b></td>"
        f'<td class="muted">{_safe(told)}</td></tr>'
        for name, value, told in rows
    )
    return f"<table>{''.join(cells)}</table>"


def _data(image: QImage) -> str:
    """Give an image as an address that holds it."""
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    QImageWriter(buffer, QByteArray(b"PNG")).write(image)
    return "data:image/png;base64," + base64.b64encode(bytes(data.data())).decode()


def _safe(text: str) -> str:
    """Give a text in the language of the window, as HTML."""
    return html.escape(tr(text))
