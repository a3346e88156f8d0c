import runpy
from pathlib import Path

SPEED = runpy.run_path(str(Path(__file__).with_name("speed.py")))
Row = SPEED["Row"]


def test_a_row_tells_the_ratio_and_whether_the_target_is_met():
    assert str(Row("filter", 2.7, 0.3, 0.27)) == "| filter | 2.7 | 0.3 | 9.0 | 0.27 | NO |"
    assert str(Row("look", None, 1.5, 2)) == "| look | - | 1.5 | - | 2 | yes |"
    assert str(Row("peak", 3.0, 1.5, None)) == "| peak | 3 | 1.5 | 2.0 | - | - |"
    assert str(Row("a", 1, 1, 1)).count("|") == SPEED["HEAD"].count("|")


def test_rows_are_replaced_and_everything_else_stays():
    text = "# Results\n\n## Before\n\nkept\n\n## Speed\n\nold\n\n## After\n\nkept too\n"
    once = SPEED["updated"](text, [Row("a", 2.0, 1.0, 1), Row("b", None, 3.0, 1)], "a machine")
    twice = SPEED["updated"](once, [Row("b", None, 0.5, 1)], "another")
    assert twice.endswith("\n## After\n\nkept too\n")
    assert [line for line in twice.splitlines() if line.startswith("| ")] == [
        SPEED["HEAD"],
        "| a | 2 | 1 | 2.0 | 1 | yes |",
        "| b | - | 0.5 | - | 1 | yes |",
    ]


def test_a_process_is_measured_with_the_modules_of_its_code(tmp_path):
    (tmp_path / "its_own.py").write_text("print(sum(i * i for i in range(10**6)))")
    cost = SPEED["process"](tmp_path, "-c", "import its_own")
    assert cost.told.strip() == str(sum(i * i for i in range(10**6)))
    assert 0 < cost.core_s < 60
    assert cost.wall_s >= 0.02
    assert cost.peak_gb > 0.001


def test_the_filter_is_timed():
    seconds = SPEED["snippet"](SPEED["ROOT"], SPEED["FILTER"], strength="None")
    assert 0 < seconds < 60
