"""Light and dark: explicit palettes, one small style sheet, and icons drawn in their colours."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QObject, QRectF, Qt, Signal, Slot
from PySide6.QtGui import QColor, QGuiApplication, QIcon, QPainter, QPalette, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication

from g2g_desktop.paths import resource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyqtgraph import PlotWidget


FIELDS = (
    "QAbstractSpinBox", "QLineEdit", "QComboBox", "QSlider", "QPlainTextEdit", "QTextEdit",
    "QTableView",
)  # fmt: skip


class Tone(StrEnum):
    """What a colour says; never shown without a symbol or a word that says the same."""

    TEXT = "text"
    MUTED = "muted"
    ACCENT = "accent"
    ON_ACCENT = "on accent"
    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True, slots=True)
class Colours:
    """One scheme: text has a contrast of 4.5 on its surfaces, what has to be seen otherwise 3.

    `outline` is around what can be worked, `border` and `faint` only part surfaces.
    """

    window: str
    card: str
    field: str
    inset: str
    button: str
    outline: str
    border: str
    faint: str
    highlight: str
    tones: dict[Tone, str]


LIGHT = Colours(
    window="#f3f4f6",
    card="#ffffff",
    field="#ffffff",
    inset="#ffffff",
    button="#f6f7f9",
    outline="#828a96",
    border="#ccd1d9",
    faint="#e6e9ee",
    highlight="#2463d6",
    tones={
        Tone.TEXT: "#1c2026",
        Tone.MUTED: "#5d6673",
        Tone.ACCENT: "#2463d6",
        Tone.ON_ACCENT: "#ffffff",
        Tone.GREEN: "#1a7f37",
        Tone.AMBER: "#8f5f00",
        Tone.RED: "#c4242e",
    },
)
DARK = Colours(
    window="#1b1d21",
    card="#24272c",
    field="#1f2226",
    inset="#353b43",  # lighter than its card: Fusion draws no outline that shows on dark
    button="#2f3339",
    outline="#7a828e",
    border="#434952",
    faint="#31353c",
    highlight="#2f6fe4",
    tones={
        Tone.TEXT: "#e8eaed",
        Tone.MUTED: "#a0a8b4",
        Tone.ACCENT: "#7aabff",
        Tone.ON_ACCENT: "#ffffff",
        Tone.GREEN: "#4cc26a",
        Tone.AMBER: "#e0a93b",
        Tone.RED: "#ff7b76",
    },
)


class Theme(QObject):
    """The look of the application: follows the system unless told otherwise.

    `changed` is emitted with whether it is dark, after palette and style sheet are in place.
    """

    changed = Signal(bool)

    def __init__(self, choice: str = "system") -> None:
        super().__init__()
        self._choice = choice
        self._drawings: dict[tuple[str, str, int], QPixmap] = {}
        self.colours = LIGHT
        hints = QGuiApplication.styleHints()
        hints.colorSchemeChanged.connect(self._on_system_change)
        self.apply()

    @property
    def dark(self) -> bool:
        """Whether the dark scheme is shown."""
        return self.colours is DARK

    def choose(self, choice: str) -> None:
        """Take "system", "light" or "dark"."""
        self._choice = choice
        self.apply()

    def apply(self) -> None:
        """Put palette and style sheet in place."""
        self.colours = DARK if self._wants_dark() else LIGHT
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.setStyle("Fusion")
            palette = _palette(self.colours)
            app.setPalette(palette)
            # Fusion draws the outline of a field in the colour of its window, darker by 1.4.
            outline = QColor(self.colours.outline).lighter(140)
            palette.setColor(QPalette.ColorRole.Window, outline)
            for name in FIELDS:
                app.setPalette(palette, name)  # type: ignore[arg-type] # bytes are refused
            app.setStyleSheet(_sheet())
        self.changed.emit(self.dark)

    @contextmanager
    def unstyled(self) -> Iterator[None]:
        """Build many widgets without the style sheet, and style them once in the end.

        Else each is styled again whenever what holds it finds its place, half the time that a
        window takes.
        """
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.setStyleSheet("")
        try:
            yield
        finally:
            if isinstance(app, QApplication):
                app.setStyleSheet(_sheet())

    def colour(self, tone: Tone) -> QColor:
        """Give the colour that carries `tone` in this scheme."""
        return QColor(self.colours.tones[tone])

    def icon(self, name: str, tone: Tone = Tone.TEXT) -> QIcon:
        """Draw a bundled icon in the colour of `tone`, faded where its button is disabled."""
        icon = QIcon(_drawn(name, self.colour(tone)))
        faded = QColor(self.colours.tones[Tone.MUTED])
        faded.setAlphaF(0.5)
        icon.addPixmap(_drawn(name, faded), QIcon.Mode.Disabled)
        return icon

    def pixmap(self, name: str, tone: Tone = Tone.TEXT, size: int = 16) -> QPixmap:
        """Draw a bundled icon `size` points wide."""
        key = (name, self.colour(tone).name(), size)
        if key not in self._drawings:
            self._drawings[key] = _drawn(name, self.colour(tone), size)
        return self._drawings[key]

    def _wants_dark(self) -> bool:
        if self._choice != "system":
            return self._choice == "dark"
        return QGuiApplication.styleHints().colorScheme() is Qt.ColorScheme.Dark

    @Slot()
    def _on_system_change(self) -> None:
        if self._choice == "system":
            self.apply()


def _sheet() -> str:
    return resource("theme.qss").read_text(encoding="utf-8")


def paint_plot(plot: PlotWidget, colours: Colours, *, on: str) -> None:
    """Bring the background and the axes of a plot to a scheme."""
    plot.setBackground(on)
    for side in ("left", "bottom"):
        axis = plot.getAxis(side)
        axis.setPen(colours.outline)
        axis.setTextPen(colours.tones[Tone.MUTED])


def _drawn(name: str, colour: QColor, size: int = 20) -> QPixmap:
    text = resource(f"icons/{name}.svg").read_text(encoding="utf-8")
    text = text.replace("currentColor", colour.name())
    renderer = QSvgRenderer(QByteArray(text.encode()))
    ratio = 3  # sharp on every screen; Qt scales it down
    pixmap = QPixmap(size * ratio, size * ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setOpacity(colour.alphaF())
    renderer.render(painter, QRectF(0, 0, size * ratio, size * ratio))
    painter.end()
    pixmap.setDevicePixelRatio(ratio)
    return pixmap


def _palette(colours: Colours) -> QPalette:
    role = QPalette.ColorRole
    tones = colours.tones
    text, muted = QColor(tones[Tone.TEXT]), QColor(tones[Tone.MUTED])
    palette = QPalette()
    surfaces = {
        role.Window: colours.window,
        role.Base: colours.inset,
        role.AlternateBase: colours.card,
        role.Button: colours.button,
        role.ToolTipBase: colours.card,
        role.Mid: colours.outline,
        role.Midlight: colours.faint,
        role.Light: colours.card,
        role.Dark: colours.border,
        role.Shadow: colours.border,
        role.Highlight: colours.highlight,
        role.Accent: colours.highlight,
        role.HighlightedText: tones[Tone.ON_ACCENT],
        role.PlaceholderText: tones[Tone.MUTED],
        role.Link: tones[Tone.ACCENT],
    }
    for key, value in surfaces.items():
        palette.setColor(key, QColor(value))
    faded = QColor(muted)
    faded.setAlphaF(0.6)
    for key in (role.WindowText, role.Text, role.ButtonText, role.ToolTipText, role.BrightText):
        palette.setColor(key, text)
        palette.setColor(QPalette.ColorGroup.Disabled, key, faded)
    palette.setColor(QPalette.ColorGroup.Disabled, role.Highlight, QColor(colours.border))
    return palette
