"""The row of tools above an image: words on its buttons, or icons where the words do not fit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QComboBox, QMenu, QToolBar, QToolButton

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
        self._box_actions: list[QAction] = []
        self._submenus: list[QMenu] = []
        (self.more,) = self.findChildren(QToolButton, "qt_toolbar_ext_button")
        self.more.setAccessibleName(tr("More tools"))
        self.more.menu().aboutToShow.connect(self._add_boxes)

    def add(self, text: str, tip: str, icon: str, before: QAction | None) -> QAction:
        """Add a button, at the end where it is `before` None."""
        action = QAction(tr(text), self)
        action.setToolTip(tr(tip))
        self.icons[icon] = action
        self.insertAction(before, action) if before else self.addAction(action)
        # A click must leave the keyboard with the image: Space and the arrows are its keys.
        self.widgetForAction(action).setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return action

    def add_box(self, name: str, tip: str, before: QAction | None) -> tuple[QComboBox, QAction]:
        """Add a box for names, at the end where `before` is None; give what shows or hides it."""
        box = QComboBox(self)
        box.setAccessibleName(tr(name))
        box.setToolTip(tr(tip))
        box.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        in_row = self.insertWidget(before, box) if before else self.addWidget(box)
        self.boxes.append(box)
        self._box_actions.append(in_row)
        return box, in_row

    def draw_icons(self, theme: Theme) -> None:
        """Draw the icons in the colours of a theme."""
        for name, action in self.icons.items():
            action.setIcon(theme.icon(name))
        self.more.setIcon(theme.icon("right"))  # that of Qt is black, on dark as well

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

    @Slot()
    def _add_boxes(self) -> None:
        """Offer in the menu at the end what is in boxes that do not fit: Qt leaves them out."""
        menu = self.more.menu()
        while self._submenus:
            self._submenus.pop().deleteLater()
        for box, in_row in zip(self.boxes, self._box_actions, strict=True):
            if in_row.isVisible() and box.isHidden():
                self._submenus.append(_menu_of(box, menu))
                menu.addMenu(self._submenus[-1])


def _menu_of(box: QComboBox, parent: QWidget) -> QMenu:
    """Make a menu that chooses in a box."""
    menu = QMenu(box.accessibleName(), parent)
    menu.setEnabled(box.isEnabled())
    choices = QActionGroup(menu)
    for index in range(box.count()):
        choice = menu.addAction(box.itemText(index))
        choice.setCheckable(True)
        choice.setChecked(index == box.currentIndex())
        choices.addAction(choice)
        choice.triggered.connect(partial(_choose, box, index))
    return menu


def _choose(box: QComboBox, index: int) -> None:
    box.setCurrentIndex(index)
    box.activated.emit(index)
