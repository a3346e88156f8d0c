"""Every text that the window shows or tells, wherever it is, and the English words among them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from PySide6.QtCore import QAbstractTableModel, QModelIndex, Qt
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QMenu,
    QMessageBox,
    QTabBar,
    QTextEdit,
    QWidget,
)

from g2g_desktop.viewer.image_pane import ImagePane

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from PySide6.QtCore import QObject

_FILE = re.compile(r"\S*[._/\\]\S*[\w/\\]\S*|<[^>]*>|&#?\w+;")  # names of files, and markup
_WORD = re.compile(r"\b[^\W\d_]{3,}\b")
_ROLES = (
    Qt.ItemDataRole.DisplayRole,
    Qt.ItemDataRole.ToolTipRole,
    Qt.ItemDataRole.AccessibleTextRole,
)


def english_words(catalogue: Mapping[str, str]) -> frozenset[str]:
    """Give the words of the English sentences that are no words of the others."""
    said, meant = " ".join(catalogue), " ".join(catalogue.values())
    return frozenset(_words(said)) - frozenset(_words(meant))


def left_in(text: str, english: frozenset[str]) -> list[str]:
    """Give the English words of a text."""
    return [word for word in _words(text) if word in english]


def _words(text: str) -> list[str]:
    bare = _FILE.sub(" ", text.replace("&nbsp;", " ")).replace("&", "")
    return [word.casefold() for word in _WORD.findall(bare)]


def shown_texts(top: QWidget) -> Iterator[tuple[str, str]]:
    """Give where and what a window and all in it shows, has as a tooltip, or tells a reader."""
    for widget in (top, *top.findChildren(QWidget)):
        if not any(map(_is_out_of_reach, (widget, *_parents(widget)))):
            kind = type(widget).__name__
            for text in (*_told_by(widget), *_shown_by(widget), *_actions_of(widget)):
                if text:
                    yield f"{kind} {widget.objectName()}", text


def _is_out_of_reach(widget: QObject) -> bool:
    """Whether it is the menu of a plot, which pyqtgraph makes and this window never opens."""
    return isinstance(widget, QMenu) and widget.title() == "Plot Options"


def _parents(widget: QObject) -> Iterator[QObject]:
    above = widget.parent()
    while above is not None:
        yield above
        above = above.parent()


def _told_by(widget: QWidget) -> Iterator[str]:
    yield from (widget.toolTip(), widget.accessibleName(), widget.accessibleDescription())
    if widget.isWindow():
        yield widget.windowTitle()


def _actions_of(widget: QWidget) -> Iterator[str]:
    for action in widget.actions():
        if not action.isSeparator():
            yield from (action.text(), action.toolTip())


def _shown_by(widget: QWidget) -> Iterator[str]:
    if isinstance(widget, QMessageBox):
        yield from (widget.text(), widget.informativeText())
    elif isinstance(widget, QLabel | QAbstractButton):
        yield widget.text()
    elif isinstance(widget, QMenu):
        yield widget.title()
    elif isinstance(widget, QComboBox):
        yield from (widget.itemText(row) for row in range(widget.count()))
    elif isinstance(widget, QTabBar):
        yield from (widget.tabText(place) for place in range(widget.count()))
    elif isinstance(widget, QAbstractSpinBox):
        yield widget.specialValueText()
        yield widget.text()
    elif isinstance(widget, QLineEdit | QTextEdit):
        yield widget.placeholderText()
    elif isinstance(widget, QAbstractItemView):
        yield from _cells_of(widget)
    elif isinstance(widget, ImagePane):
        yield widget.note.text()


def _cells_of(view: QAbstractItemView) -> Iterator[str]:
    model, top = view.model(), QModelIndex()
    columns = model.columnCount(top) if isinstance(model, QAbstractTableModel) else 1
    for column in range(columns if model is not None else 0):
        yield str(model.headerData(column, Qt.Orientation.Horizontal) or "")
        for row in range(model.rowCount(top)):
            for role in _ROLES:
                yield str(model.index(row, column, top).data(role) or "")
