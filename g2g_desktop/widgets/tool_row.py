"""The row of tools above an image: words on its buttons, or icons where the words do not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QComboBox, QToolBar, QToolButton

from g2g_desktop.language import tr

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent
    from PySide6.QtWidgets import QWidget

    from .theme import Theme

TEXT, ICON = Qt.ToolButtonStyle.ToolButtonTextOnly, Qt.ToolButtonStyle.ToolButtonIconOnly
COMMON = frozenset({"fit", "full", "invert"})  # the first to lose their words: they say the least
WIDE_PX, NARROW_PX = 200, 104  # of a box with names of pictures, at most


class ToolRow(QToolBar):
    """Buttons and boxes; what does not fit into a narrow window moves into the menu at its end."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setMovable(False)
        self.icons: dict[str, QAction] = {}  # the tools by the names of their icons
        self.boxes: list[QComboBox] = []

    def add(self, text: str, tip: str, icon: str, before: QAction | None) -> QAction:
        """Add a button, at the end where it is `before` None."""
        action = QAction(tr(text), self)
        action.setToolTip(tr(tip))
        self.icons[icon] = action
        self.insertAction(before, action) if before else self.addAction(action)
        # A click must leave the keyboard with the image: Space and the arrows are its keys.
        self.widgetForAction(action).setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return action

    def add_box(self, name: str, tip: str, before: QAction) -> tuple[QComboBox, QAction]:
        """Add a box for names of pictures, and give what shows or hides it."""
        box = QComboBox(self)
        box.setAccessibleName(tr(name))
        box.setToolTip(tr(tip))
        box.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.boxes.append(box)
        return box, self.insertWidget(before, box)

    def draw_icons(self, theme: Theme) -> None:
        """Draw the icons in the colours of a theme."""
        for name, action in self.icons.items():
            action.setIcon(theme.icon(name))
        for more in self.findChildren(QToolButton, "qt_toolbar_ext_button"):
            more.setIcon(theme.icon("right"))  # that of Qt is black, on dark as well

    def fit(self) -> None:
        """Show words and whole names, or as few of them as it takes for all to be in sight."""
        every = frozenset(self.icons)
        for worded, widest in (
            (every, WIDE_PX),
            (every - COMMON, WIDE_PX),
            (frozenset[str](), WIDE_PX),
            (frozenset[str](), NARROW_PX),
        ):
            for box in self.boxes:
                box.setMaximumWidth(widest)
            for name, action in self.icons.items():
                button = self.widgetForAction(action)
                style = TEXT if name in worded else ICON
                if isinstance(button, QToolButton) and button.toolButtonStyle() is not style:
                    button.setToolButtonStyle(style)
            if self.sizeHint().width() <= self.width():
                return

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Let the tools be in sight."""
        super().resizeEvent(event)
        self.fit()
