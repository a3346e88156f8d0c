"""The window in German: its sentences are all there, are recognised, and nothing stays English."""

from __future__ import annotations

import importlib
import re
import runpy
import subprocess
import sys
from dataclasses import fields
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PySide6.QtCore import QLocale, QUrl
from PySide6.QtWidgets import QApplication, QDialog

from g2g_desktop import language
from g2g_desktop.app import language_of, speak
from g2g_desktop.bench.report import ResultPage, write_report
from g2g_desktop.dialogs import dialogs
from g2g_desktop.dialogs.export_dialog import ExportDialog
from g2g_desktop.dialogs.help_windows import DiagnosticsDialog, GuideWindow
from g2g_desktop.dialogs.programs_dialog import ProgramsDialog
from g2g_desktop.language import LANGUAGES, Language, catalogue, choose_language, spoken, tr
from g2g_desktop.main_window import MainWindow
from g2g_desktop.model.actions import ACTIONS
from g2g_desktop.model.session import Failure, State, Step
from g2g_desktop.paths import guide
from g2g_desktop.preferences import Preferences, load_preferences
from g2g_desktop.widgets.labels import paragraph
from tests.support.shown_texts import english_words, left_in, shown_texts
from training_core import settings
from training_core.settings import limits_of

if TYPE_CHECKING:
    import enum
    from collections.abc import Callable, Iterator

    from pytestqt.qtbot import QtBot

    from tests.support.stand_ins import FakeCore

ROOT = Path(__file__).resolve().parents[2]
SENTENCES = runpy.run_path(str(ROOT / "packaging" / "sentences.py"))["sentences"]()
GAPS = language._GAP
GERMAN = catalogue("de")
ENGLISH = english_words(GERMAN)
SPOKEN_ENUMS = {
    "training_core.run": ("Stage",),
    "training_core.reporting.findings": ("Level", "Trust"),
    "g2g_desktop.model.view_state": ("Badge",),
    "g2g_desktop.model.states": ("Step", "Activity"),
    "g2g_desktop.batch.file_list": ("FileState",),
    "g2g_desktop.batch.queue": ("QueueState",),
    "g2g_desktop.dialogs.dialogs": ("Running", "Dropped"),
}


@pytest.fixture
def german() -> Iterator[None]:
    """Let the window speak German for a test."""
    speak("de")
    yield
    speak("en")


def test_every_sentence_is_there_in_german() -> None:
    """What is listed is said at that place and has no German: add it to de.json."""
    missing = [f"{place}: {text}" for text, place in SENTENCES.items() if text not in GERMAN]
    assert not missing


def test_no_german_sentence_is_of_a_text_that_is_said_no_more() -> None:
    whole = (text for text in GERMAN if GAPS.search(text) or len(text.split()) > 2)
    assert not [text for text in whole if text not in SENTENCES and text not in ACTION_TEXTS]


ACTION_TEXTS = {spec.text for spec in ACTIONS} | {spec.menu for spec in ACTIONS}


def test_a_german_sentence_has_the_gaps_of_the_english_one() -> None:
    odd = [
        text
        for text, meant in GERMAN.items()
        if sorted(GAPS.findall(text)) != sorted(GAPS.findall(meant)) or not meant.strip()
    ]
    assert not odd


def test_every_word_of_an_enumeration_an_action_or_a_setting_is_there() -> None:
    said = set(ACTION_TEXTS)
    for module, names in SPOKEN_ENUMS.items():
        for name in names:
            kind: type[enum.StrEnum] = getattr(importlib.import_module(module), name)
            said |= {member.value for member in kind}
    parts = settings.PatchSettings, settings.NoiseModelSettings, settings.DenoiserSettings
    for part in (*parts, settings.Settings):
        for field in fields(part):
            if "limits" in field.metadata:
                limits = limits_of(part(), field.name)
                said |= {limits.label, limits.help}
    assert not [text for text in said if text and text not in GERMAN]


@pytest.mark.parametrize("text", sorted(text for text in GERMAN if GAPS.search(text)))
def test_a_sentence_with_gaps_is_recognised_as_itself(text: str) -> None:
    spoken, count = Language(GERMAN), len(GAPS.findall(text))
    figures = [str(11 + number) for number in range(count)]
    reading = spoken.read(text.format(*figures))
    assert not reading.unknown
    assert not left_in(reading.text, ENGLISH)
    assert all(figure in reading.text for figure in figures)


@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("Found 12 smooth patches in 3 of the 40 frames: as many as it takes.",
         "12 glatte Patches gefunden in 3 der 40 Bilder: so viele wie nötig."),
        ("about 40 s left", "noch etwa 40 s"),
        ("50 s to 3 min left", "noch 50 s bis 3 min"),
        ("1.25 µm · Z 0.3 µm", "1,25 µm · Z 0,3 µm"),
        ("Z 12/41 · 2.4 µm", "Z 12/41 · 2,4 µm"),
        ("Exported as a 1.5.tif.", "Exportiert als a 1.5.tif."),
        ("walk to the sea and back.tif", "walk to the sea and back.tif"),
        ("Exported as time.tif. Something else.", "Exportiert als time.tif. Something else."),
        ("<b>Noise</b>&nbsp;0.5", "<b>Rauschen</b>&nbsp;0,5"),
        ("g2g desktop 1.2.3", "g2g desktop 1.2.3"),
        ("In channels 1, 2 a few pixels hold most of the noise. How far off they are was learned "
         "from what the bundled network takes from even areas.",
         "Kanäle 1, 2: wenige Pixel tragen das meiste Rauschen. Wie weit sie abweichen, wurde "
         "daraus gelernt, was das mitgelieferte Netz aus gleichmäßigen Bereichen nimmt."),
        ("ImageJ TIFF cannot keep the artist, camera and date and the pixel size.",
         "ImageJ-TIFF kann Folgendes nicht behalten: Urheber, Kamera und Datum und Pixelgröße."),
        ("", ""),
    ],
)  # fmt: skip
def test_a_text_is_read_sentence_by_sentence(english: str, german: str) -> None:
    assert Language(GERMAN).read(english).text == german


def test_english_is_as_the_code_has_it(german: None) -> None:
    assert tr("1.5 µm") == "1,5 µm"
    choose_language("en")
    assert tr("1.5 µm") == "1.5 µm"
    assert tr("Save model...") == "Save model..."


@pytest.mark.parametrize(
    ("wanted", "spoken"),
    [
        (["de-AT", "en-US"], "de"),
        (["en-GB", "de"], "en"),
        (["fr-FR", "de-CH"], "de"),
        (["fr-FR"], "en"),
        ([], "en"),
    ],
)
def test_the_language_is_the_first_that_the_user_reads(wanted: list[str], spoken: str) -> None:
    assert language_of(wanted) == spoken


def test_numbers_and_the_dialogs_of_qt_are_german_too(qapp: QApplication, german: None) -> None:
    assert QLocale().toString(0.5) == "0,5"
    assert QApplication.translate("QPlatformTheme", "Cancel") == "Abbrechen"
    speak("en")
    assert QLocale().toString(0.5) == "0.5"
    assert QApplication.translate("QPlatformTheme", "Cancel") in ("", "Cancel")


def test_a_language_is_remembered_for_the_next_start(window: MainWindow, qtbot: QtBot) -> None:
    assert window.menus.actions["language_system"].isChecked()
    for code in LANGUAGES:
        window.menus.actions[f"language_{code}"].trigger()
        assert load_preferences().language == code
    assert "started again" in window.strip.message.full_text()
    again = MainWindow(load_preferences(), window.theme)
    qtbot.addWidget(again)
    assert again.menus.actions[f"language_{code}"].isChecked()


def english_in(*tops: Any) -> list[str]:
    """Give what is English in windows, with where it is."""
    texts = chain.from_iterable(shown_texts(top) for top in tops)
    return sorted({f"{where}: {text}" for where, text in texts if left_in(text, ENGLISH)})


def test_the_walk_through_the_window_finds_english(window: MainWindow) -> None:
    assert len(english_in(window)) > 100


def test_nothing_of_the_window_stays_english(
    german: None, loaded: MainWindow, core: FakeCore, qtbot: QtBot, tmp_path: Path
) -> None:
    session, panel = loaded.session, loaded.centre.bench.panel
    for step in Step:
        session.show(step)
        assert english_in(loaded) == []
    loaded.side.train.advanced.fold.setChecked(True)
    session.show(Step.PATCHES)
    loaded.commands.do("first_look")
    assert english_in(loaded) == []
    core.may_end.clear()
    loaded.commands.do("train")
    qtbot.waitUntil(lambda: session.state is State.TRAINING)
    assert english_in(loaded) == []
    core.may_end.set()
    qtbot.waitUntil(lambda: session.state is State.DONE, timeout=60_000)
    judged = lambda: session.result is not None and session.result.judgement is not None  # noqa: E731
    qtbot.waitUntil(judged, timeout=60_000)
    session.show(Step.COMPARE)
    for name in panel.buttons:
        panel.open(name)
        assert english_in(loaded) == []
    for mode in ("side", "residual", "changed", "blink", "measure_line", "measure_rectangle"):
        loaded.commands.do(mode)
        assert english_in(loaded) == []
    loaded.commands.do("batch")
    assert english_in(loaded) == []
    session.tell(Failure(Step.DATA, f"{tmp_path} is neither a file nor a folder."))
    assert english_in(loaded) == []


def test_no_dialog_stays_english(
    german: None, loaded: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert loaded.session.stack is not None
    seen: list[str] = []

    def look(dialog: QDialog) -> int:
        seen.extend(english_in(dialog))
        return 0

    monkeypatch.setattr(QDialog, "exec", look)
    failure = Failure(Step.TRAIN, "Cells of 3 px cannot be.")
    made: list[Callable[[], QDialog]] = [
        lambda: ExportDialog(loaded.session.stack, tmp_path / "a.tif", (), loaded),  # type: ignore[arg-type]
        lambda: ProgramsDialog(Preferences(), loaded),
        lambda: DiagnosticsDialog("", str(tmp_path), loaded),
        lambda: GuideWindow(guide(spoken()), loaded),
        lambda: dialogs.ErrorDialog(failure, loaded.theme, loaded),
    ]
    for make in made:
        dialog = make()
        seen += english_in(dialog)
        dialog.close()
    sheet = dialogs.show_shortcuts(loaded)
    seen += english_in(sheet)
    sheet.close()
    dialogs.ask_pixel_size(loaded, loaded.session.stack.pixel_size, with_z=True)
    dialogs.ask_cancelling(loaded)
    dialogs.ask_dropped(loaded, "a.tif")
    assert seen == []


def test_a_report_follows_the_window(german: None, tmp_path: Path) -> None:
    page = ResultPage(
        "Result of denoising", "256 × 256 px, frame 1 of 3; g2g desktop 1.2.3.", "", [],
        "The part in view, all with one contrast: black at 0.5, white at 12.",
        [("Noise level", "0.5", "At last.")], [], "Of what denoising removed, 20 % was kept.",
        "S. Cha: GAN2GAN.", "g2g run a.tif -o b.tif",
    )  # fmt: skip
    text = write_report(page, tmp_path / "page.html").read_text("utf-8")
    assert "<h1>Ergebnis des Entrauschens</h1>" in text
    assert "Bild 1 von 3" in text
    assert "schwarz bei 0,5, weiß bei 12" in text
    assert (
        "<h2>Methode</h2><p>Von dem, was das Entrauschen entfernte, wurden 20 % behalten." in text
    )
    assert "<code>g2g run a.tif -o b.tif</code>" in text


def test_a_label_keeps_what_it_was_given(qapp: QApplication, german: None) -> None:
    assert (
        paragraph("The command is on the clipboard.").text()
        == "Der Befehl ist in der Zwischenablage."
    )


GERMAN_PAGES = sorted(guide("de").glob("*.md"))


@pytest.mark.parametrize("page", GERMAN_PAGES, ids=lambda page: page.stem)
def test_a_german_page_of_the_guide_names_what_is_there(page: Path) -> None:
    text = page.read_text("utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert not [link for link in links if not (page.parent / link).exists()]
    # What is in the window stands in italics, and sentences it says in code.
    shown = {meant.replace("&", "") for meant in GERMAN.values()}
    named = re.findall(r"(?<![*\w])\*([^*]+)\*(?!\*)", text)
    assert not [name for name in named if " ".join(name.split()) not in shown]
    said = re.findall(r"^\| `([^`]+)`", text, flags=re.MULTILINE)
    pieces = [piece.strip(" .") for one in said for piece in one.split("...")]
    assert not [piece for piece in pieces if not any(piece in meant for meant in shown)]


def test_the_german_guide_has_a_page_for_each_task_in_the_window() -> None:
    contents = guide("de") / "index.md"
    reached = set(re.findall(r"\]\(([\w-]+\.md)", contents.read_text("utf-8")))
    assert {page.name for page in GERMAN_PAGES} == reached | {"index.md"}
    assert {page.name for page in GERMAN_PAGES} <= {p.name for p in guide().glob("*.md")}


IN_ENGLISH = {"command-line.md", "python.md", "extending.md"}  # of commands and of code


def test_whoever_works_the_window_reads_german_wherever_help_leads(qtbot: QtBot) -> None:
    window = GuideWindow(guide("de"))
    qtbot.addWidget(window)
    assert {p.name for p in GERMAN_PAGES} == {p.name for p in guide().glob("*.md")} - IN_ENGLISH
    for page in GERMAN_PAGES:
        window.page.setSource(QUrl.fromLocalFile(str(page)))
        assert window.page.toPlainText()
        targets = re.findall(r"\]\(([^)#\s]+\.md)", page.read_text("utf-8"))
        for target in targets:
            reached = (page.parent / target).resolve()
            assert reached.parent == guide("de") or reached.name in IN_ENGLISH
            there = window.page.source().resolved(QUrl(target))  # as a click does
            window.page.setSource(there)
            assert Path(window.page.source().toLocalFile()).resolve() == reached
            assert window.page.toPlainText()
            window.page.backward()


def test_the_command_stays_english(tmp_path: Path) -> None:
    sample = ROOT / "resources" / "samples" / "sem_noisy.tif"
    told = [
        subprocess.run(
            [sys.executable, "-m", "training_core", "info", str(sample)],
            capture_output=True,
            text=True,
            check=True,
            env={"PATH": "/usr/bin", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "LANG": lang},
        ).stdout
        for lang in ("de_DE.UTF-8", "C.UTF-8")
    ]
    assert told[0] == told[1]
