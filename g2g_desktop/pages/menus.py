"""The actions of `actions.py` as Qt actions, in their menus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtGui import QAction, QActionGroup, QKeySequence

from g2g_desktop.language import tr
from g2g_desktop.model.actions import ACTIONS, ActionSpec

if TYPE_CHECKING:
    from PySide6.QtWidgets import QMainWindow, QMenu

    from g2g_desktop.widgets.theme import Theme


class Menus(QObject):
    """The menu bar of a window; `asked` carries the id of the chosen action."""

    asked = Signal(str)

    def __init__(self, window: QMainWindow, theme: Theme) -> None:
        super().__init__(window)
        self._theme = theme
        self._groups: dict[str, QActionGroup] = {}
        self.actions = {spec.id: self._made(spec) for spec in ACTIONS}
        menus: dict[str, QMenu] = {}
        for spec in ACTIONS:
            if spec.menu not in menus:
                menus[spec.menu] = window.menuBar().addMenu(tr(spec.menu))
            menus[spec.menu].addAction(self.actions[spec.id])
        window.addActions(list(self.actions.values()))
        theme.changed.connect(self._draw_icons)
        self._draw_icons()

    def show_allowed(self, allowed: frozenset[str]) -> None:
        """Enable what may be asked now."""
        for name, action in self.actions.items():
            action.setEnabled(name in allowed)

    @Slot(str)
    def check(self, name: str) -> None:
        """Show that something is on."""
        self.actions[name].setChecked(True)

    def _made(self, spec: ActionSpec) -> QAction:
        action = QAction(tr(spec.text), self)
        action.setObjectName(spec.id)
        action.setShortcuts([QKeySequence(keys) for keys in spec.shortcuts])
        if spec.group:
            action.setCheckable(True)
            group = self._groups.setdefault(spec.group, QActionGroup(self))
            # A group of one is a switch.
            alone = sum(other.group == spec.group for other in ACTIONS) == 1
            group.setExclusive(not alone)
            group.addAction(action)
        action.triggered.connect(self._on_triggered)
        return action

    def _draw_icons(self) -> None:
        for spec in ACTIONS:
            if spec.icon:
                self.actions[spec.id].setIcon(self._theme.icon(spec.icon))

    def _on_triggered(self) -> None:
        action = self.sender()
        if isinstance(action, QAction):
            self.asked.emit(action.objectName())
