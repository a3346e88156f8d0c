"""Damaged, hostile and unusual real files: a sentence or a warning, in bounded memory and time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.shared_data

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
MOST_KB = 2 * 2**20
MOST_SECONDS = 5.0

# Opens every file named on stdin; a JSON line for each, with the largest memory so far in kB.
PROBE = """
import json, sys, time, warnings
warnings.simplefilter("error")
from training_core.errors import InputError
from training_core.io.readers import open_stack
for path in json.load(sys.stdin):
    started = time.monotonic()
    try:
        stack = open_stack(path)
        stack.pixels.sum()
        answer = {"shape": stack.shape, "axes": stack.axes, "warnings": stack.warnings}
    except InputError as error:
        answer = {"error": str(error)}
    answer["seconds"] = time.monotonic() - started
    if sys.platform == "linux":
        with open("/proc/self/status") as lines:
            answer["memory"] = next(int(n.split()[1]) for n in lines if n.startswith("VmHWM"))
    print(json.dumps([path, answer]), flush=True)
"""

REFUSED = {
    "derived_all_nan_float32.tif": "has no finite pixel",
    "derived_complex64.tif": "complex pixels",
    "derived_huge_declared_dims.tif": "declares an image of 100000 x 100000 pixels",
    "derived_text_renamed.tif": "is not the TIF file that its name says",
    "derived_truncated.czi": "derived_truncated.czi is damaged or cut off",
    "derived_truncated.nd2": "derived_truncated.nd2 is damaged or cut off",
    "derived_truncated_ct.dcm": "cut off",
    "derived_zero_bytes.tif": "is empty",
    "dicom_MR_truncated.dcm": "cut off",
    "dicom_badVR.dcm": "is a damaged DICOM file",
    "dicom_emri_small_jpeg_2k_lossless_too_short.dcm": "without an image, or it is damaged",
    "dicom_no-number-rows.dcm": "without an image, or it is damaged",
    "dicom_no_meta.dcm": "its beginning is damaged",
    "dicom_rtplan_truncated.dcm": "(RTPLAN) without an image",
    "imagetiff_colormap-shl-overflow.tiff": "is damaged and cannot be decoded",
    "imagetiff_sample-get-lzw-stuck.tiff": "no plane is whole",
    "imread_00r00.lsm": "is not the LSM file that its name says",
    "imread_01r02.lsm": "is not the LSM file that its name says",
    "imread_02r00.lsm": "is not the LSM file that its name says",
    "imread_03w00.lsm": "is not the LSM file that its name says",
    "imread_00r00.tiff": "holds no image",
    "pillow_broken.png": "its header cannot be read",
    "pillow_broken_data_stream.png": "is damaged or cut off",
    "pillow_truncated_image.png": "is damaged or cut off",
    "pillow_libtiff_segfault.tif": "declares an image of 65535 x 65535 x 900 pixels",
    "pillow_oom-225817ca0f8c663be7ab4b9e717b02c661e66834.tif": "is damaged",
    "pillow_seek_too_large.tif": "holds no image",
    "twelvemonkeys_noeof.tif": "is damaged",
    "twelvemonkeys_value-beyond-eof.tif": "no plane is whole",
    "pillow_crash-0c7e0e8e11ce787078f00b5b0ca409a167f070e0.tif": "no plane is whole",
    "pillow_crash-1152ec2d1a1a71395b6f2ce6721c38924d025bf3.tif": "no plane is whole",
    "pillow_crash-2020-10-test.tif": "no plane is whole",
    "pillow_crash-86214e58da443d2b80820cff9677a38a33dcbbca.tif": "no plane is whole",
}
OPENED_IN_PART = {
    "derived_imagej_wrong_count.tif": ("ZYX", "declares 9 planes but only 6 of them are whole"),
    "derived_mixed_pages.tif": ("YX", "It holds 3 images, and number 1 is read"),
    "derived_nan_inf_float32.tif": ("YX", "102 pixels are NaN or infinite; they teach nothing"),
    "derived_ome_broken_xml.ome.tif": ("YX", "OME metadata are damaged"),
    "derived_truncated_stack.tif": ("ZYX", "only 2 of them are whole; 4 are missing"),
    "pillow_multipage_multiple_frame_loop.tiff": ("IYX", "runs in a circle"),
    "pillow_multipage_out_of_order.tiff": ("YX", "It holds 2 images, and number 2 is read"),
    "twelvemonkeys_CCITT-G4-300dpi-StripByteCounts0.tif": ("YX", "TIFF tags are damaged"),
}
# Nothing is missing in these: strange values, or damage that no decoder can tell.
WHOLE = {
    "derived_1x1_uint8.tif",
    "derived_5x512_uint16.tif",
    "derived_constant_uint16.tif",
    "derived_saturated_uint16.tif",
    "derived_uint32_large.tif",
    "derived_ünïcode 名前 #1.tif",
    "pillow_crash-0da013a13571cc8eb457a39fee8db18f8a3c7127.tif",
    "pillow_tiff_wrong_bits_per_sample.tiff",
    "pillow_tiff_wrong_bits_per_sample_2.tiff",
    "twelvemonkeys_ccitt-too-many-changes.tif",
    "twelvemonkeys_lzw-buffer-overflow.tif",
}


@pytest.fixture(scope="module")
def answers(shared_data: Path) -> dict[str, dict[str, object]]:
    """Open everything in one process; a crash or a hang fails all tests here."""
    folders = ("malformed", "odd", "formats")
    files = [p for f in folders for p in (shared_data / f).rglob("*") if p.is_file()]
    files = [p for p in files if ".zarr" not in str(p)]
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        input=json.dumps([str(p) for p in files]),
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).resolve().parents[3],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"},
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    last = lines[-1][0] if lines else "none"
    assert done.returncode == 0, f"after {last}: {done.stderr[-2000:]}"
    assert done.stderr == ""
    assert len(lines) == len(files)
    return {str(Path(path).relative_to(shared_data)): answer for path, answer in lines}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_it_is_refused_in_one_sentence(answers: dict[str, dict[str, object]], name: str):
    error = str(answers[f"malformed/{name}"]["error"])

    assert REFUSED[name] in error
    assert error.endswith(".")
    assert "\n" not in error
    assert len(error) < 300
    assert "Traceback" not in error


@pytest.mark.parametrize("name", sorted(OPENED_IN_PART))
def test_what_is_readable_opens_and_the_rest_is_named(
    answers: dict[str, dict[str, object]], name: str
):
    answer = answers[f"malformed/{name}"]
    axes, warning = OPENED_IN_PART[name]

    assert answer["axes"] == axes
    assert warning in " ".join(answer["warnings"])


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_strange_but_whole_files_open(answers: dict[str, dict[str, object]], name: str):
    assert "error" not in answers[f"malformed/{name}"]


@pytest.mark.skipif(not DATA.is_dir(), reason="the real images are absent")
def test_every_malformed_file_has_its_expectation():
    known = REFUSED.keys() | OPENED_IN_PART.keys() | WHOLE

    assert {p.name for p in (DATA / "malformed").iterdir()} == known


def test_every_unusual_but_valid_file_opens(answers: dict[str, dict[str, object]]):
    refused = {n: a["error"] for n, a in answers.items() if n.startswith("odd/") and "error" in a}

    assert refused == {}


def test_formats_of_other_programs_are_named_with_what_to_do(
    answers: dict[str, dict[str, object]],
):
    refused = {n: str(a["error"]) for n, a in answers.items() if "error" in a and "format" in n}
    foreign = {n: e for n, e in refused.items() if "export it as OME-TIFF from" in e}

    assert {n.rsplit(".", 1)[-1] for n in foreign} == {"fits", "ser", "spe"}
    assert refused == foreign


def test_none_takes_long(answers: dict[str, dict[str, object]]):
    slow = {n: a["seconds"] for n, a in answers.items() if a["seconds"] > MOST_SECONDS}

    assert slow == {}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is not counted so")
def test_none_takes_much_memory(answers: dict[str, dict[str, object]]):
    large = {n: a["memory"] for n, a in answers.items() if a["memory"] > MOST_KB}

    assert large == {}
