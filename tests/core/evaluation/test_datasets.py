import importlib.util
import sys
import types
from contextlib import contextmanager

import numpy as np
import pytest
import tifffile
from PIL import Image

from training_core.errors import InputError, SettingsError
from training_core.evaluation.datasets import load_table
from training_core.evaluation.published_tables import TABLES, W2S_FIELDS
from training_core.patches.smooth_patches import find_smooth_patches
from training_core.stack import IntensityRange

HAS_H5PY = importlib.util.find_spec("h5py") is not None
NOISY = {
    "G15": 24.85,
    "G25": 20.55,
    "G50": 15.00,
    "Mix15": 39.41,
    "Mix25": 35.10,
    "Mix30": 23.48,
    "Mix50": 22.81,
    "Cor15": 27.01,
    "Cor25": 22.66,
}
NATURAL = {table.column: table for table in TABLES.values() if table.kind == "natural"}


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def picture(seed, *shape):
    return np.random.default_rng(seed).integers(30, 220, shape).astype(np.uint8)


def psnr_of_noisy(found):
    """Score the noisy images by hand, as `score` does but without its slow SSIM."""
    ends = (0, 255) if found.protocol.clips else (-np.inf, np.inf)
    pairs = [(np.clip(t.noisy.frame(0), *ends), np.clip(t.clean, *ends)) for t in found.tests]
    test = found.tests[0]
    scores = [10 * np.log10(255**2 / np.mean((one - two) ** 2)) for one, two in pairs]
    assert found.protocol.score(test.noisy.frame(0), test.clean).psnr == pytest.approx(scores[0])
    return scores


def add_bsd400(folder):
    for index in range(3):
        save(folder / "bsd400" / f"test_{index}.png", picture(index, 20, 20))


@pytest.fixture
def ours(tmp_path):
    add_bsd400(tmp_path)
    for index in range(2):
        rgb = picture(10 + index, 18, 12, 3)
        save(tmp_path / "cbsd68" / f"{index}.png", rgb)
        gray = np.rint(rgb @ (0.299, 0.587, 0.114))
        save(tmp_path / "bsd68" / f"test{index}.png", gray)
    return tmp_path


def test_every_column_of_the_seed_has_a_table():
    columns = {table.column for table in TABLES.values() if table.published}
    synthetic = {*NOISY, "G30"}
    dose = {f"Dose{n}" for n in (25, 50, 75, 100)}
    assert columns == synthetic | dose | {f"WF{n}" for n in (1, 2, 4, 8, 16)}
    assert all(name == table.name for name, table in TABLES.items())


def test_published_figures():
    table = TABLES["bsd68-correlated25"]
    assert table.published == {
        "noisy": (22.66, None),
        "DnCNN-B": (27.36, 0.8233),
        "G2G": (27.50, 0.8188),
    }
    assert TABLES["bsd68-gaussian30"].published["noisy"] == (None, None)
    assert TABLES["fmd-widefield-avg1"].target == (36.0, 0.82)
    assert TABLES["ct-dose25"].published["G2G"] == (46.72, 0.97)
    assert TABLES["fmd-twophoton-mice"].elsewhere["Noise2VST"] == (34.06, None)
    assert {c: NATURAL[c].published["noisy"][0] for c in NOISY} == NOISY


def test_paper_mode_of_the_tables():
    wide, dose = (TABLES[name].paper for name in ("fmd-widefield-avg1", "ct-dose25"))
    assert (wide.denoiser.rounds, wide.patches.strictness) == (7, 0.42)
    assert (dose.denoiser.network, dose.denoiser.batch, dose.denoiser.rounds) == ("unet", 4, 3)
    assert dose.patches.strictness == 0.15
    for table in TABLES.values():
        assert table.paper.preset == "paper"
        assert 0 < table.paper.patches.strictness <= 0.42


def test_our_natural_images(ours):
    found = load_table(TABLES["bsd68-gaussian25"], ours, "sane", seed=3)
    assert [test.name for test in found.tests] == ["test0", "test1"]
    gray = np.asarray(Image.open(ours / "bsd68" / "test0.png"))
    np.testing.assert_array_equal(found.tests[0].clean, gray)
    assert found.tests[0].noisy.shape == (18, 12)
    assert found.tests[0].noisy.dtype == np.float32
    assert [stack.shape for stack in found.learn()] == [(3, 20, 20)]
    # g2's sigmoid must end at black and white.
    for noisy in (found.learn()[0], found.tests[0].noisy):
        assert IntensityRange.published([noisy]) == IntensityRange(0.0, 255.0)
    assert "2 test images" in found.note
    assert str(ours / "bsd68") in found.note


def test_published_gray_comes_from_the_colours(ours):
    found = load_table(TABLES["bsd68-gaussian25"], ours, "published")
    rgb = np.asarray(Image.open(ours / "cbsd68" / "0.png"), np.float64)
    np.testing.assert_allclose(found.tests[0].clean, (rgb @ (0.299, 0.587, 0.144)).T)
    assert found.tests[0].noisy.shape == (12, 18)


def test_the_authors_colours_serve_both_protocols(ours, tmp_path):
    sane, published = (
        load_table(TABLES["bsd68-mixture15"], ours, protocol) for protocol in ("sane", "published")
    )
    authors = tmp_path / "authors"
    (ours / "cbsd68").rename(tmp_path / "BSD68")
    authors.mkdir()
    (tmp_path / "BSD68").rename(authors / "BSD68")
    (tmp_path / "bsd400").rename(authors / "Train400")
    for expected in (sane, published):
        found = load_table(TABLES["bsd68-mixture15"], authors, expected.protocol.name)
        for one, two in zip(found.tests, expected.tests, strict=True):
            np.testing.assert_array_equal(one.clean, two.clean)
            np.testing.assert_array_equal(one.noisy.pixels, two.noisy.pixels)


def test_the_seed_decides_and_no_noise_comes_twice(tmp_path):
    for index in range(2):
        save(tmp_path / "bsd68" / f"{index}.png", np.full((20, 20), 100))
        save(tmp_path / "bsd400" / f"{index}.png", np.full((20, 20), 100))
    table = TABLES["bsd68-gaussian25"]

    def noises(seed):
        found = load_table(table, tmp_path, "sane", seed=seed)
        return [*(t.noisy.pixels for t in found.tests), *found.learn()[0].pixels]

    first, again, other = noises(0), noises(0), noises(1)
    np.testing.assert_array_equal(first, again)
    frames = [frame.tobytes() for frame in [*first, *other]]
    assert len(set(frames)) == len(frames) == 8


def test_training_images_of_two_shapes_make_two_stacks(ours):
    save(ours / "bsd400" / "test_10.png", picture(7, 20, 30))
    found = load_table(TABLES["bsd68-gaussian25"], ours, "sane")
    assert [stack.shape for stack in found.learn()] == [(3, 20, 20), (1, 20, 30)]


def test_what_is_missing_is_named(tmp_path, ours):
    table = TABLES["bsd68-gaussian25"]
    with pytest.raises(InputError, match="no data folder"):
        load_table(table, tmp_path / "nowhere", "sane")
    with pytest.raises(SettingsError, match="'best'"):
        load_table(table, ours, "best")
    (ours / "bsd400").rename(ours / "other")
    with pytest.raises(InputError, match=r"BSD400 is missing.*bsd400 or .*Train400"):
        load_table(table, ours, "sane")
    with pytest.raises(InputError, match=r"L096 is missing.*ldct_mayo"):
        load_table(TABLES["ct-mayo"], ours, "sane")
    with pytest.raises(InputError, match=r"FMD is missing.*fmd"):
        load_table(TABLES["fmd-confocal-fish"], ours, "sane")
    with pytest.raises(InputError, match=r"CT set of the authors.*Medical_images"):
        load_table(TABLES["ct-dose25"], ours, "published")


def test_gray_pictures_cannot_serve_the_published_protocol(ours):
    (ours / "cbsd68").rename(ours / "away")
    (ours / "bsd68").rename(ours / "BSD68")
    with pytest.raises(InputError, match="not in colour"):
        load_table(TABLES["bsd68-gaussian25"], ours, "published")


@pytest.fixture
def fmd(tmp_path):
    """Give a made-up field 19: blue with a frame twice, green with four of its own."""
    mix = tmp_path / "fmd" / "test_mix"
    blue = [picture(n, 24, 24) for n in (1, 1, 2, 3)]
    green = [picture(n, 24, 24) for n in (4, 5, 6, 7)]
    for name, frames in (("WideField_BPAE_B", blue), ("WideField_BPAE_G", green)):
        for n, frame in enumerate(frames, 1):
            save(mix / "raw" / f"{name}_{n}.png", frame)
        save(mix / "gt" / f"{name}.png", picture(8, 24, 24))
    return tmp_path


def test_repeated_frames_are_left_out_and_named(fmd):
    found = load_table(TABLES["fmd-widefield-avg1"], fmd, "sane")
    names = [f"WideField_BPAE_B_{n}" for n in (1, 3, 4)]
    names += [f"WideField_BPAE_G_{n}" for n in (1, 2, 3, 4)]
    assert [test.name for test in found.tests] == names
    assert [stack.axes for stack in found.learn()] == ["YX"] * 7  # never a series in time
    np.testing.assert_array_equal(found.tests[1].noisy.pixels, picture(2, 24, 24))
    assert found.tests[0].noisy.dtype == np.uint8
    assert "repeats an earlier frame: WideField_BPAE_B_2." in found.note
    assert "Missing: WideField_BPAE_R." in found.note


def test_means_are_of_frames_that_follow_and_are_rounded(fmd):
    found = load_table(TABLES["fmd-widefield-avg2"], fmd, "published")
    expected = [np.rint((picture(a, 24, 24) + 0.0 + picture(a + 1, 24, 24)) / 2) for a in (1, 4, 6)]
    assert len(found.tests) == 3
    for test, mean in zip(found.tests, expected, strict=True):
        np.testing.assert_array_equal(test.noisy.pixels, mean)
        assert test.noisy.dtype == np.uint8


def test_too_few_frames_for_a_mean(fmd):
    found = load_table(TABLES["fmd-widefield-avg4"], fmd, "sane")
    assert [test.name for test in found.tests] == ["WideField_BPAE_G_1"]
    assert "too few different frames: WideField_BPAE_B (3)." in found.note
    with pytest.raises(InputError, match=r"needs 8 .* frames.*_B \(3\), WideField_BPAE_G \(4\)"):
        load_table(TABLES["fmd-widefield-avg8"], fmd, "sane")
    with pytest.raises(InputError, match="Confocal_FISH, but there are none"):
        load_table(TABLES["fmd-confocal-fish"], fmd, "sane")
    (fmd / "fmd" / "test_mix" / "gt" / "WideField_BPAE_G.png").unlink()
    with pytest.raises(InputError, match=r"WideField_BPAE_G\.png is missing"):
        load_table(TABLES["fmd-widefield-g"], fmd, "sane")


def test_fields_with_folders_of_their_own(tmp_path):
    root = tmp_path / "fmd" / "Confocal_BPAE_B"
    for field, count in (("2", 6), ("10", 2)):
        for n in range(count):
            save(root / "raw" / field / f"f{n}.png", picture(10 * int(field) + n, 16, 16))
        save(root / "gt" / field / "avg50.png", picture(int(field), 16, 16))
    found = load_table(TABLES["fmd-confocal-bpae-b-avg1"], tmp_path, "sane")
    assert [stack.shape for stack in found.learn()] == [(16, 16)] * 8
    names = [test.name for test in found.tests]
    assert names == [
        *(f"Confocal_BPAE_B_2_{n}" for n in (1, 2, 3, 4)),
        *(f"Confocal_BPAE_B_10_{n}" for n in (1, 2)),
    ]
    np.testing.assert_array_equal(found.tests[-1].clean, picture(10, 16, 16))


def test_the_references_of_w2s_are_brought_to_the_brightness_of_the_noisy_images(tmp_path):
    rng = np.random.default_rng(0)
    for part in ("avg1", "avg400"):
        (tmp_path / "w2s" / part).mkdir(parents=True)
    for field in ("001", "002"):
        mean = picture(int(field), 32, 32)
        noisy = np.rint(0.5 * mean + 20 + rng.normal(0, 5, mean.shape)).astype(np.uint8)
        tifffile.imwrite(tmp_path / "w2s" / "avg400" / f"{field}_1.tif", mean)
        tifffile.imwrite(tmp_path / "w2s" / "avg1" / f"{field}_1.tif", noisy)
    for field in ("001", "002"):
        found = load_table(TABLES[f"w2s-1-{field}"], tmp_path, "sane")
        (test,) = found.tests
        assert test.name == f"w2s_{field}_1"
        mean = tifffile.imread(tmp_path / "w2s" / "avg400" / f"{test.name[4:]}.tif")
        np.testing.assert_allclose(test.clean, 0.5 * mean + 20, atol=2)
    assert [stack.axes for stack in found.learn()] == ["YX"]
    assert "least-squares line" in found.note
    with pytest.raises(InputError, match="no image of W2S wide-field, channel 2, field 001 in"):
        load_table(TABLES["w2s-2-001"], tmp_path, "sane")


@pytest.fixture
def authors_micrographs(tmp_path):
    root = tmp_path / "Real_FM_images"
    for n in (1, 2, 10):
        save(root / "test" / "WF" / "avg2" / f"B_{n}.png", picture(n, 16, 16))
        save(root / "test" / "WF" / "gt" / f"B_{n}.png", picture(100 + n, 16, 16))
    for channel in ("B", "G"):
        for field in ("1", "19"):
            for n in range(2):
                path = root / "train" / "WF" / "avg2" / channel / field / f"PND_{n}.png"
                save(path, picture(int(field) + n, 16, 16))
    return tmp_path


def test_the_authors_wide_field_images(authors_micrographs):
    found = load_table(TABLES["fmd-widefield-avg2"], authors_micrographs, "published")
    assert [test.name for test in found.tests] == ["B_1", "B_2", "B_10"]
    for n, test in zip((1, 2, 10), found.tests, strict=True):
        np.testing.assert_array_equal(test.noisy.pixels, picture(n, 16, 16))
        np.testing.assert_array_equal(test.clean, picture(100 + n, 16, 16))
    assert [stack.shape for stack in found.learn()] == [(2, 16, 16), (2, 16, 16)]
    np.testing.assert_array_equal(found.learn()[0].frame(0), picture(1, 16, 16))
    assert "field 19" in found.note


def test_references_of_other_names_are_paired_in_order(authors_micrographs):
    gt = authors_micrographs / "Real_FM_images" / "test" / "WF" / "gt"
    for index, path in enumerate(sorted(gt.iterdir(), key=lambda p: len(p.name))):
        path.rename(gt / f"reference{index}.png")
    found = load_table(TABLES["fmd-widefield-avg2"], authors_micrographs, "published")
    np.testing.assert_array_equal(found.tests[2].clean, picture(110, 16, 16))
    next(gt.iterdir()).unlink()
    with pytest.raises(InputError, match=r"3 images but .* 2, under other names"):
        load_table(TABLES["fmd-widefield-avg2"], authors_micrographs, "published")


@contextmanager
def read_npz(path, mode):
    """Open a file as h5py.File would, with what `write_mat` wrote."""
    assert mode == "r"
    try:
        with open(path, "rb") as file:
            yield dict(np.load(file))
    except ValueError as error:
        raise OSError("file signature not found") from error


@pytest.fixture(
    params=[
        "stand-in",
        pytest.param("h5py", marks=pytest.mark.skipif(not HAS_H5PY, reason="h5py is not here")),
    ]
)
def write_mat(request, monkeypatch):
    """Give a function that writes a data set into an HDF5 file, or where its stand-in reads."""
    if request.param == "h5py":
        import h5py

        def write(path, key, values):
            path.parent.mkdir(parents=True, exist_ok=True)
            with h5py.File(path, "w") as file:
                file[key] = values

        return write
    module = types.ModuleType("h5py")
    module.File = read_npz
    monkeypatch.setitem(sys.modules, "h5py", module)

    def stand_in(path, key, values):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            np.savez(file, **{key: values})

    return stand_in


TRAIN = [*(f"female_{n}" for n in (1, *range(3, 13))), *(f"male_{n}" for n in range(1, 12))]
TEST = ["female_13", "female_14", "female_15", "male_12", "male_13"]


def attenuation(name, clean=False):
    seed = [len(name), ord(name[0]), *name.encode()[-2:], int(clean)]
    return np.random.default_rng(seed).uniform(-0.02, 0.5, (2, 16, 16))


@pytest.fixture
def authors_ct(tmp_path, write_mat):
    for name in [*TRAIN, *TEST]:
        folder = tmp_path / "Medical_images"
        write_mat(folder / "Dose25" / f"{name}.mat", "img", attenuation(name))
        if name in TEST:
            write_mat(folder / "Clean" / f"{name}.mat", "img_clean", attenuation(name, clean=True))
    return tmp_path


@pytest.mark.parametrize("protocol", ["published", "sane"])
def test_the_authors_ct(authors_ct, protocol):
    found = load_table(TABLES["ct-dose25"], authors_ct, protocol)
    assert len(found.learn()) == 22
    assert {stack.shape for stack in found.learn()} == {(2, 16, 16)}
    assert [test.name for test in found.tests][:3] == ["female_13_1", "female_13_2", "female_14_1"]
    assert len(found.tests) == 10
    last = found.tests[-1]
    clean = 1000 * (attenuation("male_13", clean=True)[1] / 0.2 - 1)
    noisy = 1000 * (attenuation("male_13")[1] / 0.2 - 1)
    np.testing.assert_allclose(last.clean, clean, atol=1e-3)
    limited = np.clip(noisy, -1000, 3000) if protocol == "published" else noisy
    first = 1000 * (attenuation(TRAIN[0]) / 0.2 - 1)
    assert first.min() < -1000
    learned = np.clip(first, -1000, 3000) if protocol == "published" else first
    np.testing.assert_allclose(found.learn()[0].pixels, learned, atol=1e-3)
    assert IntensityRange.published(found.learn()) == IntensityRange(-1000.0, 2000.0)
    np.testing.assert_allclose(last.noisy.pixels, limited, atol=1e-3)
    assert last.noisy.value_unit == found.learn()[0].value_unit == "HU"
    assert "img, img_clean" in found.note
    # Published: values / .4, clipped to [0, 1], peak 1.
    if protocol == "published":
        one, two = (np.clip(attenuation("male_13", c)[1] / 0.4, 0, 1) for c in (False, True))
        expected = 10 * np.log10(1 / np.mean((one - two) ** 2))
        score = found.protocol.score(last.noisy.pixels, last.clean)
        assert score.psnr == pytest.approx(expected, abs=1e-3)


def test_ct_files_with_other_names_for_the_images(authors_ct, write_mat):
    path = authors_ct / "Medical_images" / "Dose25" / "male_13.mat"
    write_mat(path, "volume", attenuation("male_13"))
    found = load_table(TABLES["ct-dose25"], authors_ct, "sane")
    assert "volume" in found.note


def test_ct_files_that_do_not_fit(authors_ct, write_mat):
    folder = authors_ct / "Medical_images" / "Dose25"
    write_mat(folder / "male_13.mat", "img", attenuation("male_13")[:1])
    with pytest.raises(InputError, match=r"male_13\.mat is \(1, 16, 16\)"):
        load_table(TABLES["ct-dose25"], authors_ct, "sane")
    write_mat(folder / "male_13.mat", "note", np.float64(1))
    with pytest.raises(InputError, match="holds no images"):
        load_table(TABLES["ct-dose25"], authors_ct, "sane")
    (folder / "male_13.mat").write_bytes(b"MATLAB 5.0 MAT-file")
    with pytest.raises(InputError, match="no HDF5 file"):
        load_table(TABLES["ct-dose25"], authors_ct, "sane")
    (folder / "female_3.mat").unlink()
    with pytest.raises(InputError, match="needs that patient"):
        load_table(TABLES["ct-dose25"], authors_ct, "sane")


def test_without_h5py_the_package_is_named(tmp_path, monkeypatch):
    for name in [*TRAIN, *TEST]:
        for folder in ("Dose25", "Clean"):
            path = tmp_path / "Medical_images" / folder / f"{name}.mat"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match="install the package h5py"):
        load_table(TABLES["ct-dose25"], tmp_path, "sane")


@pytest.mark.shared_data
@pytest.mark.parametrize("column", NOISY)
def test_noisy_row_of_the_published_table(column, shared_data):
    found = load_table(NATURAL[column], shared_data, "published")
    assert len(found.tests) == 68
    assert {test.clean.shape for test in found.tests} == {(321, 481)}
    assert np.mean(psnr_of_noisy(found)) == pytest.approx(NOISY[column], abs=0.1)


@pytest.mark.shared_data
def test_usual_bsd68_at_sigma_25(shared_data):
    found = load_table(NATURAL["G25"], shared_data, "sane")
    assert np.mean(psnr_of_noisy(found)) == pytest.approx(20.17, abs=0.02)
    gray = np.rint(load_table(NATURAL["G25"], shared_data, "published").tests[3].clean)
    assert found.tests[3].clean.shape == gray.shape


# data/README.md: the first frame, then the first mean, of each type.
FMD_ROWS = {
    "WideField_BPAE_B": ("fmd-widefield", {1: 25.62, 2: 28.72}),
    "WideField_BPAE_G": ("fmd-widefield", {1: 23.90, 2: 26.98, 4: 30.17}),
    "Confocal_FISH": ("fmd-confocal-fish", {1: 22.88}),
    "Confocal_BPAE_G": ("fmd-confocal-bpae", {1: 28.12}),
    "TwoPhoton_MICE": ("fmd-twophoton-mice", {1: 24.32}),
    "TwoPhoton_BPAE_B": ("fmd-twophoton-bpae", {1: 24.70}),
    "Confocal_BPAE_B_7": ("fmd-confocal-bpae-b", {1: 32.61, 2: 35.41}),
}


@pytest.mark.shared_data
@pytest.mark.parametrize("scene", FMD_ROWS)
def test_noisy_rows_of_the_micrographs(scene, shared_data):
    name, rows = FMD_ROWS[scene]
    for average, expected in rows.items():
        full = name if name in TABLES else f"{name}-avg{average}"
        found = load_table(TABLES[full], shared_data, "sane")
        first = next(test for test in found.tests if test.name.startswith(scene))
        score = found.protocol.score(first.noisy.frame(0), first.clean)
        assert score.psnr == pytest.approx(expected, abs=0.02), average


@pytest.mark.shared_data
def test_ssim_of_the_micrographs_is_that_of_their_known_figures(shared_data):
    for name, ssim in (("fmd-widefield-g", 0.340), ("fmd-confocal-fish", 0.454)):
        found = load_table(TABLES[name], shared_data, "sane")
        scores = [found.protocol.score(t.noisy.frame(0), t.clean).ssim for t in found.tests]
        assert np.mean(scores) == pytest.approx(ssim, abs=0.0006)


@pytest.mark.shared_data
def test_noisy_rows_of_w2s_after_the_line(shared_data):
    scores = {
        test.name: found.protocol.score(test.noisy.frame(0), test.clean).psnr
        for channel in range(3)
        for field in W2S_FIELDS
        for found in [load_table(TABLES[f"w2s-{channel}-{field}"], shared_data, "sane")]
        for test in found.tests
    }
    assert len(scores) == 9
    assert min(scores.values()) == pytest.approx(18.5, abs=0.05)
    assert max(scores.values()) == pytest.approx(26.85, abs=0.05)


@pytest.mark.shared_data
def test_mayo_ct(shared_data):
    found = load_table(TABLES["ct-mayo"], shared_data, "sane")
    assert [test.name for test in found.tests] == [f"L096_{n}" for n in range(1, 7)]
    for test in found.tests:
        noise = test.noisy.frame(0) - test.clean
        assert 47.5 <= np.sqrt(np.mean(noise**2)) <= 68.5
        assert test.noisy.value_unit == "HU"
    assert [stack.shape for stack in found.learn()] == [(6, 512, 512)]


@pytest.mark.shared_data
def test_paper_mode_takes_patches_of_noise_alone(shared_data):
    table = NATURAL["G25"]
    train = load_table(table, shared_data, "sane").learn()[0]
    patches = find_smooth_patches(train, table.paper.patches)
    assert patches.count >= 1000
    found = [
        np.var(train.frame(frame)[top : top + 96, left : left + 96])
        for frame, top, left in patches.locations
    ]
    assert np.sqrt(np.mean(found)) == pytest.approx(25.0, rel=0.03)
