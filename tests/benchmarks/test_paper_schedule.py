import paper_schedule
import pytest
from paper_schedule import CUT, HEAD, Row
from results import RESULTS

from training_core.run import Run, StageStarted


def test_a_row_is_a_line_of_the_table():
    assert str(Row("round 3, last", 28.876, 0.81071)) == "| round 3, last | 28.88 | 0.8107 |"
    assert str(Row("published", None, None)) == "| published | - | - |"


@pytest.mark.trains
def test_a_schedule_that_was_cut_off_goes_on_and_is_scored(tmp_path, monkeypatch, capsys):
    class CutInRoundTwo(Run):
        def emit(self, event):
            super().emit(event)
            if isinstance(event, StageStarted) and event.detail == "round 2 of 2":
                self.cancel()

    output = tmp_path / "model.g2g"
    words = ["--smoke", "--device", "cpu", "--output", str(output)]
    before = RESULTS.read_text(encoding="utf-8")
    with monkeypatch.context() as patched:
        patched.setattr(paper_schedule, "Run", CutInRoundTwo)
        assert paper_schedule.main(words) == CUT
    assert {path.name for path in tmp_path.iterdir()} == {
        "model.g2g.checkpoint",
        "model.g2g.times",
    }
    assert paper_schedule.main([*words, "--resume"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["model.g2g"]
    text = capsys.readouterr().out
    assert "round 1 of 2" in text  # the time of the first run counts as well
    assert HEAD in text
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    names = [line.split(" | ")[0].removeprefix("| ").partition(",")[0] for line in rows]
    assert names == ["noisy", "round 0", "round 1", "round 2", "published"]
    assert 19 < float(rows[0].split(" | ")[1]) < 22  # sigma 25, clipped to white
    assert rows[-1] == "| published | 28.87 | 0.8107 |"
    assert RESULTS.read_text(encoding="utf-8") == before


@pytest.mark.trains
def test_a_run_is_cut_off_after_the_minutes_given(tmp_path):
    words = ["--smoke", "--device", "cpu", "--output", str(tmp_path / "model.g2g")]
    assert paper_schedule.main([*words, "--minutes", "0"]) == CUT
