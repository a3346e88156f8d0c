"""A batch goes on after a bad file, names it, and writes each result whole and once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from training_core.batch.outputs import Existing
from training_core.batch.stacks import Batch, Form
from training_core.batch.targets import target_paths
from training_core.errors import InputError, OutputError, TooFewPatchesError, UsageError
from training_core.io.readers import open_stack
from training_core.run import Cancelled, Note, Run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from training_core.compute.checkpoint import Checkpoint
    from training_core.stack import Stack


def save(path: Path, value: int = 5) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    pixels = np.full((2, 20, 30), value, np.uint16)
    pixels[0, 0, 0] = 0
    tifffile.imwrite(path, pixels, metadata={"axes": "ZYX"})
    return path


def plus_one(stack: Stack, checkpoint: Checkpoint) -> tuple[Stack, Mapping[str, object]]:
    return stack.with_pixels(stack.pixels + np.asarray(1, stack.dtype)), {"seed": 3}


def denoise(batch: Batch, output: Path, run: Run | None = None, as_float: bool = False):
    run = run or Run()
    return batch.denoise(output, plus_one, run=run, existing=Existing(), form=Form(as_float))


def test_nine_good_files_and_a_bad_one(tmp_path: Path):
    for index in range(9):
        save(tmp_path / f"in/s{index}.tif", index)
    (tmp_path / "in/s5_bad.tif").write_bytes(b"II*\0")
    notes: list[str] = []
    run = Run(lambda event: notes.append(event.text) if isinstance(event, Note) else None)

    results = denoise(Batch.of([tmp_path / "in"]), tmp_path / "out", run)

    assert len(list((tmp_path / "out").iterdir())) == 9
    failed = [r for r in results if r.error]
    assert [(r.input, r.output) for r in failed] == [(str(tmp_path / "in/s5_bad.tif"), None)]
    assert "damaged" in failed[0].error
    assert [note for note in notes if "left out" in note] == [
        f"s5_bad.tif is left out: {failed[0].error}"
    ]
    assert open_stack(tmp_path / "out/s8_denoised.tif").pixels.max() == 9


def test_a_single_bad_file_is_the_failure_of_the_command(tmp_path: Path):
    (tmp_path / "a.tif").write_bytes(b"II*\0")

    with pytest.raises(InputError, match=r"a\.tif"):
        denoise(Batch.of([tmp_path / "a.tif"]), tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_a_missing_path_fails_alone_and_is_reported_among_others(tmp_path: Path):
    good, missing = save(tmp_path / "a.tif"), tmp_path / "b.tif"

    with pytest.raises(InputError, match="There is no file"):
        Batch.of([missing])
    batch = Batch.of([missing, good])

    assert batch.paths == (good,)
    assert [(r.input, r.error) for r in batch.refused] == [
        (str(missing), f"There is no file or folder {missing}.")
    ]
    assert not batch.alone


def test_an_existing_output_is_found_before_the_work_is_done(tmp_path: Path):
    source, target = save(tmp_path / "a.tif"), tmp_path / "b.tif"
    target.write_text("mine")
    done: list[Stack] = []

    def work(stack: Stack, checkpoint: Checkpoint) -> tuple[Stack, Mapping[str, object]]:
        done.append(stack)
        return plus_one(stack, checkpoint)

    batch = Batch.of([source])
    with pytest.raises(OutputError, match="exists already"):
        batch.denoise(target, work, run=Run(), existing=Existing())
    assert (done, target.read_text()) == ([], "mine")

    batch.denoise(target, work, run=Run(), existing=Existing(overwrite=True))
    assert open_stack(target).pixels.max() == 6


def test_float_output_is_not_rounded(tmp_path: Path):
    results = denoise(Batch.of([save(tmp_path / "a.tif")]), tmp_path / "out", as_float=True)

    again = open_stack(results[0].output)
    assert (again.dtype, again.axes, again.pixels.max()) == (np.float32, "ZYX", 6.0)


def test_how_it_was_made_is_inside_the_file(tmp_path: Path):
    results = denoise(Batch.of([save(tmp_path / "a.tif")]), tmp_path / "out")

    with tifffile.TiffFile(results[0].output) as tif:
        assert '{"input": "a.tif", "seed": 3}' in tif.pages[0].description.replace("&quot;", '"')


def test_all_stacks_that_open_are_given(tmp_path: Path):
    paths = [save(tmp_path / f"{name}.tif") for name in "ab"]
    (tmp_path / "c.tif").write_bytes(b"")
    save(tmp_path / "d.tif", 0)

    stacks, failed = Batch.of([tmp_path]).open_all(Run())

    assert [s.source for s in stacks] == paths
    assert [r.error for r in failed] == [
        "c.tif is empty (0 bytes).",
        "Every pixel of d.tif has the value 0; there is no noise to learn from.",
    ]


def test_names_of_outputs(tmp_path: Path):
    series = tmp_path / "series.1"
    series.mkdir()
    paths = [tmp_path / "a.ome.tif", tmp_path / "b.png", series]

    names = [p.name for p in target_paths(paths, tmp_path)]

    assert names == ["a_denoised.tif", "b_denoised.tif", "series.1_denoised.tif"]
    assert target_paths(paths[:1], tmp_path / "x.tif") == [tmp_path / "x.tif"]
    assert target_paths(paths[:1], tmp_path / "new") == [tmp_path / "new/a_denoised.tif"]


def test_outputs_never_share_a_name(tmp_path: Path):
    same_stem = [tmp_path / "a.tif", tmp_path / "a.png"]
    same_name = [tmp_path / "one/a.tif", tmp_path / "two/a.tif"]

    assert [p.name for p in target_paths(same_stem, tmp_path)] == [
        "a_tif_denoised.tif",
        "a_png_denoised.tif",
    ]
    assert [p.name for p in target_paths(same_name, tmp_path)] == [
        "one_a_tif_denoised.tif",
        "two_a_tif_denoised.tif",
    ]
    with pytest.raises(OutputError, match="same name"):
        target_paths([tmp_path / "one/a.tif", tmp_path / "two/../one/a.tif"], tmp_path)


def test_one_file_is_no_output_for_several_stacks(tmp_path: Path):
    existing = tmp_path / "file"
    existing.write_text("")

    for output in (tmp_path / "out.tif", existing):
        with pytest.raises(OutputError, match="is one file for 2 stacks"):
            target_paths([tmp_path / "a.tif", tmp_path / "b.tif"], output)


STEP = {"step": 7}


def notes_of(run_on: list[str]) -> Run:
    return Run(lambda event: run_on.append(event.text) if isinstance(event, Note) else None)


def interrupted(stack: Stack, checkpoint: Checkpoint) -> tuple[Stack, Mapping[str, object]]:
    checkpoint.part("steps").save(STEP)
    raise Cancelled


@pytest.fixture
def left(tmp_path: Path) -> tuple[Batch, Path]:
    """Give a batch of one that was interrupted, and its output."""
    batch, target = Batch.of([save(tmp_path / "a.tif")]), tmp_path / "b.tif"
    notes: list[str] = []
    with pytest.raises(Cancelled):
        batch.denoise(target, interrupted, run=notes_of(notes), existing=Existing())
    folder = tmp_path / "b.tif.checkpoint"
    assert notes == [f"{folder} keeps what was done so far; --resume goes on with it."]
    assert folder.is_dir()
    return batch, target


def test_what_was_interrupted_is_refused_without_a_word_of_what_to_do(
    left: tuple[Batch, Path], tmp_path: Path
):
    batch, target = left
    with pytest.raises(OutputError, match="add --resume to go on with it or --overwrite"):
        batch.denoise(target, plus_one, run=Run(), existing=Existing())
    assert not target.exists()
    assert (tmp_path / "b.tif.checkpoint").is_dir()


@pytest.mark.parametrize(
    ("existing", "kept"), [(Existing(resume=True), STEP), (Existing(overwrite=True), None)]
)
def test_resuming_goes_on_and_overwriting_starts_anew(
    left: tuple[Batch, Path], tmp_path: Path, existing: Existing, kept: object
):
    batch, target = left
    seen: list[object] = []

    def work(stack: Stack, checkpoint: Checkpoint) -> tuple[Stack, Mapping[str, object]]:
        checkpoint.claim({})
        seen.append(checkpoint.part("steps").load())
        checkpoint.part("steps").save(STEP)
        return plus_one(stack, checkpoint)

    target.write_text("an older output, to be replaced")
    batch.denoise(target, work, run=Run(), existing=existing)
    assert seen == [kept]
    assert open_stack(target).pixels.max() == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "b.tif"]


def test_resuming_a_batch_keeps_what_is_finished(tmp_path: Path):
    first, second = save(tmp_path / "in/a.tif", 3), save(tmp_path / "in/b.tif", 4)
    batch, output = Batch.of([tmp_path / "in"]), tmp_path / "out"
    denoise(Batch.of([first]), output)
    done: list[Path | None] = []
    notes: list[str] = []

    def work(stack: Stack, checkpoint: Checkpoint) -> tuple[Stack, Mapping[str, object]]:
        done.append(stack.source)
        return plus_one(stack, checkpoint)

    results = batch.denoise(output, work, run=notes_of(notes), existing=Existing(resume=True))
    assert done == [second]
    assert [(result.output, result.error) for result in results] == [
        (str(output / "a_denoised.tif"), None),
        (str(output / "b_denoised.tif"), None),
    ]
    assert "a_denoised.tif is finished already and kept." in notes
    assert "There is nothing to resume for b_denoised.tif; it is started anew." in notes


def test_a_stack_that_cannot_be_learned_from_leaves_nothing_to_resume(tmp_path: Path):
    def work(stack: Stack, checkpoint: Checkpoint) -> tuple[Stack, Mapping[str, object]]:
        checkpoint.part("patches").save(STEP)
        raise TooFewPatchesError("Found 3 smooth patches.")

    batch, target = Batch.of([save(tmp_path / "a.tif")]), tmp_path / "b.tif"
    with pytest.raises(TooFewPatchesError):
        batch.denoise(target, work, run=Run(), existing=Existing())
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_overwriting_and_resuming_exclude_each_other():
    with pytest.raises(UsageError, match="choose one of them"):
        Existing(overwrite=True, resume=True)


def test_the_name_and_the_compression_say_how_a_result_is_written(tmp_path: Path):
    path, notes = save(tmp_path / "a.tif"), []
    batch = Batch.of([path])
    for name in ("out.ome.tif", "out.ome.zarr"):
        batch.denoise(
            tmp_path / name,
            plus_one,
            run=notes_of(notes),
            existing=Existing(),
            form=Form(compression="zstd"),
        )

    with tifffile.TiffFile(tmp_path / "out.ome.tif") as tif:
        assert tif.is_ome
        assert tif.pages[0].compression.name == "ZSTD"
    assert open_stack(tmp_path / "out.ome.zarr").pixels[1].max() == 6
    assert not [note for note in notes if "cannot keep" in note]
    with pytest.raises(OutputError, match="folders are never replaced"):
        denoise(batch, tmp_path / "out.ome.zarr")
    with pytest.raises(OutputError, match="PNG holds one plane"):
        denoise(batch, tmp_path / "gone" / "out.png")  # before any work


def test_what_a_format_cannot_keep_is_a_note(tmp_path: Path):
    path, notes = tmp_path / "a.tif", []
    pixels = np.full((20, 30), 9, np.uint16)
    pixels[0, 0] = 0
    tifffile.imwrite(path, pixels, imagej=True, resolution=(10, 10), metadata={"unit": "um"})

    denoise(Batch.of([path]), tmp_path / "out.png", notes_of(notes))

    assert "PNG cannot keep the pixel size." in notes
