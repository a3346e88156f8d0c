from __future__ import annotations

from g2g_desktop.model.diagnostics import LEFT_OUT, diagnostics, without_texts
from training_core.settings import Settings

LOG = """2026-11-30 08:29:54,165 WARNING qt: Smith^John could not be drawn
2026-11-30 08:29:55,001 ERROR g2g_desktop: Nobody expected this
Traceback (most recent call last):
  File "/home/smith/lib/training_core/io/readers.py", line 45, in open_stack
    stack = open_file("smith_1967.tif")
  File "/home/smith/lib/numpy/core.py", line 7, in load
ValueError: smith_1967.tif is broken
  and so is Smith^John
"""


def test_a_log_is_told_without_the_names_in_it() -> None:
    assert without_texts(LOG).splitlines() == [
        f"2026-11-30 08:29:54,165 WARNING qt: {LEFT_OUT}",
        f"2026-11-30 08:29:55,001 ERROR g2g_desktop: {LEFT_OUT}",
        "  training_core/io/readers.py, line 45, in open_stack",
        "  elsewhere, line 7, in load",
        "  ValueError",
    ]


def test_the_report_has_versions_device_settings_and_no_name() -> None:
    report = diagnostics("a processor", Settings(seed=17), LOG)
    for part in ("== Versions ==", "numpy 2", "torch 2", "a processor", '"seed": 17', "ValueError"):
        assert part in report
    assert "smith" not in report.lower()
