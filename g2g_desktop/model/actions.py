"""Every action of the window as data: text, shortcut, icon, menu, and when it is allowed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from g2g_desktop.language import LANGUAGES

from .session import State

if TYPE_CHECKING:
    from .session import Session

ANY = frozenset(State)
AT_REST = frozenset({State.EMPTY, State.READY, State.DONE})
WITH_STACK = ANY - {State.EMPTY, State.LOADING}
WITH_STACK_AT_REST = frozenset({State.READY, State.DONE})
DONE = frozenset({State.DONE})
TRAINING = frozenset({State.TRAINING, State.PAUSED})
QUEUE_WORKS = "The queue is working on files. Pause it, or wait until it is done."
CANCELLABLE = frozenset(
    {
        State.LOADING,
        State.TRAINING,
        State.PAUSED,
        State.STOPPING,
        State.DENOISING,
        State.EXPORTING,
    }
)


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One thing the user can ask for.

    `states` say when; `needs` names a fact of the session that must hold as well; one that takes
    all of the computer stands `alone`, without the queue at work; an action with a `group` is one
    choice of several and can be checked.
    """

    id: str
    text: str
    menu: str
    shortcuts: tuple[str, ...]
    states: frozenset[State]
    icon: str = ""
    needs: str = ""
    group: str = ""
    alone: bool = False

    def allowed(self, session: Session) -> bool:
        """Whether the session, as it is now, lets the user ask for this."""
        met = not self.needs or getattr(session, self.needs) not in (None, False, "")
        return session.state in self.states and met and not (self.alone and session.queue_works)


ACTIONS = (
    ActionSpec("open", "&Open stack...", "&File", ("Ctrl+O",), AT_REST, "open"),
    ActionSpec("open_folder", "Open &folder...", "&File", ("Ctrl+Shift+O",), AT_REST, "open"),
    ActionSpec("open_model", "Open &model...", "&File", ("Ctrl+Shift+M",), AT_REST, "model"),
    ActionSpec("save_model", "&Save model...", "&File", ("Ctrl+S",), AT_REST, "model", "denoiser"),
    ActionSpec("export", "&Export...", "&File", ("Ctrl+E",), DONE, "export"),
    ActionSpec("close", "&Close file", "&File", ("Ctrl+W",), WITH_STACK_AT_REST),
    ActionSpec("report", "&Report...", "&File", ("Ctrl+Shift+P",), DONE),
    ActionSpec("copy_command", "Cop&y as command", "&File", (), DONE),
    ActionSpec("copy_methods", "Copy me&thods paragraph", "&File", (), DONE),
    ActionSpec("programs", "&Where Fiji and napari are...", "&File", (), ANY),
    ActionSpec("quit", "&Quit", "&File", ("Ctrl+Q",), ANY),
    ActionSpec("undo", "&Undo change of settings", "&Edit", ("Ctrl+Z",), AT_REST, needs="can_undo"),
    ActionSpec(
        "redo", "&Redo change of settings", "&Edit", ("Ctrl+Shift+Z",), AT_REST, needs="can_redo"
    ),
    ActionSpec(
        "apply_remedy",
        "Use the &advised patches",
        "&Edit",
        (),
        WITH_STACK_AT_REST,
        needs="has_remedy",
    ),
    ActionSpec("language_system", "&Language of the system", "&Edit", (), ANY, group="language"),
    *(
        ActionSpec(f"language_{code}", f"&{name}", "&Edit", (), ANY, group="language")
        for code, name in LANGUAGES.items()
    ),
    ActionSpec(
        "train",
        "&Train and denoise",
        "&Run",
        ("Ctrl+R",),
        WITH_STACK_AT_REST,
        "train",
        "can_train",
        alone=True,
    ),
    ActionSpec(
        "resume",
        "Continue the i&nterrupted training",
        "&Run",
        (),
        WITH_STACK_AT_REST,
        needs="interrupted",
        alone=True,
    ),
    ActionSpec(
        "discard_interrupted",
        "Disca&rd the interrupted training",
        "&Run",
        (),
        WITH_STACK_AT_REST,
        needs="interrupted",
    ),
    ActionSpec(
        "first_look",
        "&Preview without training",
        "&Run",
        ("P",),
        frozenset({State.READY}),  # a result, once there is one, is what the window shows
        group="first_look",
    ),
    ActionSpec(
        "denoise",
        "&Denoise with the model",
        "&Run",
        ("Ctrl+D",),
        WITH_STACK_AT_REST,
        "model",
        "denoiser",
        alone=True,
    ),
    ActionSpec("batch", "Denoise &many files...", "&Run", ("Ctrl+Shift+E",), ANY, group="batch"),
    ActionSpec("pause", "Pa&use", "&Run", ("Ctrl+Shift+.",), TRAINING, group="pause"),
    ActionSpec("stop_and_keep", "&Stop and keep", "&Run", ("Ctrl+.",), TRAINING, "stop"),
    ActionSpec("cancel", "&Cancel", "&Run", ("Esc",), CANCELLABLE, "cross"),
    ActionSpec(
        "model_info", "Model &information", "&Run", ("M",), AT_REST, "info", needs="denoiser"
    ),
    ActionSpec("fit", "&Fit in window", "&View", ("F",), WITH_STACK),
    ActionSpec("actual_size", "&Actual pixels", "&View", ("Z",), WITH_STACK),
    ActionSpec("auto_contrast", "Auto &contrast", "&View", ("A",), WITH_STACK),
    ActionSpec(
        "show_patches", "Show smooth &patches", "&View", ("G",), WITH_STACK_AT_REST, group="patches"
    ),
    ActionSpec("show_files", "Show &list of files", "&View", ("Ctrl+L",), ANY, group="files"),
    ActionSpec("next_result", "&Next result", "&View", ("N",), DONE, needs="several"),
    ActionSpec("previous_result", "Pre&vious result", "&View", ("Shift+N",), DONE, needs="several"),
    ActionSpec("split", "&Split", "&View", ("1",), DONE, "compare", "compares", "compare"),
    ActionSpec("side", "Side &by side", "&View", ("2",), DONE, "", "compares", "compare"),
    ActionSpec("blink", "Blin&k", "&View", ("3",), DONE, "", "compares", "compare"),
    ActionSpec("residual", "&Residual", "&View", ("4",), DONE, "", "compares", "compare"),
    ActionSpec("changed", "C&hanged pixels", "&View", ("5",), DONE, "", "compares", "compare"),
    ActionSpec("loupe", "L&oupe", "&View", ("O",), DONE, needs="compares"),
    ActionSpec("measure_line", "Profile along a lin&e", "&View", ("L",), DONE, needs="compares"),
    ActionSpec(
        "measure_rectangle", "Measure a rectan&gle", "&View", ("R",), DONE, needs="compares"
    ),
    ActionSpec("measure_polygon", "Measure a pol&ygon", "&View", ("Y",), DONE, needs="compares"),
    ActionSpec("invert", "&Invert", "&View", ("I",), WITH_STACK),
    ActionSpec("pixel_size", "Set pixel si&ze...", "&View", (), WITH_STACK_AT_REST),
    ActionSpec("theme_system", "Theme of the syste&m", "&View", (), ANY, group="theme"),
    ActionSpec("theme_light", "Ligh&t theme", "&View", (), ANY, group="theme"),
    ActionSpec("theme_dark", "&Dark theme", "&View", (), ANY, group="theme"),
    ActionSpec("guide", "&Guide", "&Help", ("F1",), ANY, "info"),
    ActionSpec("shortcuts", "&Keyboard shortcuts", "&Help", ("?",), ANY),
    ActionSpec("show_log", "Show &log folder", "&Help", (), ANY),
    ActionSpec("diagnostics", "Save &diagnostic bundle...", "&Help", (), ANY),
    ActionSpec("about", "&About g2g desktop", "&Help", (), ANY, "info"),
)
BY_ID = {spec.id: spec for spec in ACTIONS}


def allowed_actions(session: Session) -> frozenset[str]:
    """Give the ids of all actions that the session allows now."""
    return frozenset(spec.id for spec in ACTIONS if spec.allowed(session))


def blocked_actions(session: Session) -> dict[str, str]:
    """Give why actions that stand alone cannot be asked for now, in a sentence each."""
    return {spec.id: QUEUE_WORKS for spec in ACTIONS if spec.alone and session.queue_works}
