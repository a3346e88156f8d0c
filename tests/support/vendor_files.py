"""Small files as microscopes write them, byte by byte, where no library can write the format."""

from __future__ import annotations

import io
import struct
import zlib
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

import imagecodecs
import numpy as np
import tifffile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

CZI_TYPES = {"uint8": 0, "uint16": 1, "float32": 2}
BGR = {("uint8", 3): 3, ("uint16", 3): 4, ("uint8", 4): 9}  # the last with opacity
SECTOR, SMALL = 512, 4096  # what is smaller lies together, in a part of its own
END, FREE, FAT, NO_ENTRY = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD, 0xFFFFFFFF


def czi(
    pixels: np.ndarray,
    axes: str,
    *,
    xml: str = "",
    compression: int = 0,
    tiles: int = 1,
    left_out: int | None = None,
    payload: bytes | None = None,
) -> bytes:
    """Give a CZI file; `axes` end in YX (or YXS for colours), planes are cut in `tiles` along X.

    `payload` stands in each block where its pixels would.
    """
    colour = axes.endswith("S")
    lead = axes[: -3 if colour else -2]
    height, width = pixels.shape[len(lead) : len(lead) + 2]
    blocks: list[tuple[bytes, bytes]] = []
    for number, index in enumerate(np.ndindex(*pixels.shape[: len(lead)])):
        if number == left_out:
            continue
        step = width // tiles
        for tile in range(tiles):
            part = pixels[index][:, tile * step : (tile + 1) * step]
            dimensions = [("X", tile * step, part.shape[1]), ("Y", 0, height)]
            counted = [(axis, start, 1) for axis, start in zip(lead, index, strict=True)]
            dimensions += counted[::-1]  # the fastest first
            dimensions += [("M", tile, 1)] if tiles > 1 else []
            name, samples = pixels.dtype.name, pixels.shape[-1]
            kind = BGR[name, samples] if colour else CZI_TYPES[name]
            data = part[..., (2, 1, 0, 3)[:samples]] if colour else part
            content = packed(data, compression) if payload is None else payload
            blocks.append((_entry(dimensions, kind, compression), content))
    return _czi_file(blocks, xml.encode())


def packed(pixels: np.ndarray, compression: int) -> bytes:
    data = np.ascontiguousarray(pixels).tobytes()
    if compression == 5:
        return bytes(imagecodecs.zstd_encode(data))
    if compression == 6:  # low bytes first, then all high ones
        halves = np.frombuffer(data, np.uint8).reshape(-1, pixels.dtype.itemsize).T
        return b"\x03\x01\x01" + bytes(imagecodecs.zstd_encode(halves.tobytes()))
    return data


def _entry(dimensions: list[tuple[str, int, int]], kind: int, compression: int) -> bytes:
    entry = struct.pack("<2siqiiBB4si", b"DV", kind, 0, 0, compression, 0, 0, b"", len(dimensions))
    for axis, start, size in dimensions:
        entry += struct.pack("<4siifi", axis.encode(), start, size, 0.0, size)
    return entry


def _segment(name: bytes, data: bytes) -> bytes:
    return struct.pack("<16sqq", name, len(data), len(data)) + data


def _czi_file(blocks: list[tuple[bytes, bytes]], xml: bytes) -> bytes:
    place, body, entries = 32 + 512, b"", b""
    for entry, data in blocks:
        placed = entry[:6] + struct.pack("<q", place + len(body)) + entry[14:]
        entries += placed
        block = struct.pack("<iiq", 0, 0, len(data)) + placed
        body += _segment(b"ZISRAWSUBBLOCK", block.ljust(256, b"\0") + data)
    directory = place + len(body)
    body += _segment(b"ZISRAWDIRECTORY", struct.pack("<i", len(blocks)).ljust(128, b"\0") + entries)
    metadata = place + len(body) if xml else 0
    if xml:
        body += _segment(b"ZISRAWMETADATA", struct.pack("<ii", len(xml), 0).ljust(256, b"\0") + xml)
    head = struct.pack(
        "<iiii16s16siqqiq", 1, 0, 0, 0, b"", b"", 0, directory, metadata, 0, 0
    ).ljust(512, b"\0")
    return _segment(b"ZISRAWFILE", head) + body


def czi_xml(
    scale_um: Mapping[str, float],
    channels: list[str],
    step_s: float,
    *,
    taken: str = "",
    shown: Sequence[str] = (),
) -> str:
    """Give metadata as ZEN writes them; `taken` is in each channel, `shown` its last colour."""
    items = "".join(
        f"<Distance Id='{axis}'><Value>{um * 1e-6!r}</Value></Distance>"
        for axis, um in scale_um.items()
    )
    names = "".join(
        f"<Channel Id='Channel:{i}' Name={quoteattr(c)}>{taken}</Channel>"
        for i, c in enumerate(channels)
    )
    colours = "".join(f"<Channel><Color>{colour}</Color></Channel>" for colour in shown)
    return (
        "<ImageDocument><Metadata><Information><Image><Dimensions>"
        f"<Channels>{names}</Channels><T><Positions><Interval><Increment>{step_s}</Increment>"
        "</Interval></Positions></T></Dimensions></Image></Information>"
        f"<DisplaySetting><Channels>{colours}</Channels></DisplaySetting>"
        f"<Scaling><Items>{items}</Items></Scaling></Metadata></ImageDocument>"
    )


def lif(
    images: Mapping[str, tuple[np.ndarray, str]],
    step: float = 1e-7,
    tables: Sequence[str] = ("Dye 0", "Dye 1", "Dye 2"),
) -> bytes:
    """Give a LIF file of images by name, with their axes; every step in metres or seconds."""
    ids = {"X": 1, "Y": 2, "Z": 3, "T": 4}
    elements, memory = "", b""
    for number, (name, (pixels, axes)) in enumerate(images.items()):
        strides = np.array(pixels.strides)
        described = "".join(
            f'<DimensionDescription DimID="{ids[axis]}" NumberOfElements="{n}" Origin="0" '
            f'Length="{step * (n - 1)!r}" Unit="{"s" if axis == "T" else "m"}" '
            f'BitInc="0" BytesInc="{stride}"/>'
            for axis, n, stride in zip(axes, pixels.shape, strides, strict=True)
            if axis != "C"
        )
        count = pixels.shape[axes.index("C")] if "C" in axes else 1
        inc = strides[axes.index("C")] if "C" in axes else 0
        channels = "".join(
            f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="{pixels.itemsize * 8}" '
            f'NameOfMeasuredQuantity="" Min="0" Max="1" Unit="" LUTName="{tables[c]}" '
            f'IsLUTInverted="0" BytesInc="{inc * c}" BitInc="0"/>'
            for c in range(count)
        )
        elements += (
            f'<Element Name="{name}"><Memory Size="{pixels.nbytes}" MemoryBlockID="M{number}"/>'
            f"<Data><Image><ImageDescription><Channels>{channels}</Channels>"
            f"<Dimensions>{described}</Dimensions></ImageDescription></Image></Data></Element>"
        )
        block = f"M{number}".encode("utf-16-le")
        memory += struct.pack("<IIBQBI", 0x70, 0, 0x2A, pixels.nbytes, 0x2A, len(block) // 2)
        memory += block + pixels.tobytes()
    xml = (
        '<LMSDataContainerHeader Version="2"><Element Name="all"><Children>'
        f"{elements}</Children></Element></LMSDataContainerHeader>"
    ).encode("utf-16-le")
    return struct.pack("<IIBI", 0x70, len(xml) + 5, 0x2A, len(xml) // 2) + xml + memory


def oif_parts(pixels: np.ndarray, channels: list[str]) -> tuple[str, dict[str, bytes]]:
    """Give the text and the planes of an Olympus file, pixels (C, Z, Y, X); .2 x .2 x .5 um."""
    counts = dict(zip("CZYX", pixels.shape, strict=True))
    ends = {"X": 0.2 * counts["X"], "Y": 0.2 * counts["Y"], "Z": 500.0 * (counts["Z"] - 1)}
    lines = ["[ProfileSaveInfo]", 'Name="FV10"', 'Version="2.0"']
    for number, axis in enumerate("XYCZ"):
        lines += [
            f"[Axis {number} Parameters Common]",
            f'AxisCode="{axis}"',
            f"MaxSize={counts[axis]}",
            "StartPosition=0",
            f"EndPosition={ends.get(axis, 0)}",
            f'UnitName="{"nm" if axis == "Z" else "um"}"',
        ]
    for number, name in enumerate(channels, 1):
        lines += [f"[Channel {number} Parameters]", f'DyeName="{name}"']
    planes = {}
    for c, z in product(range(counts["C"]), range(counts["Z"])):
        file = io.BytesIO()
        tifffile.imwrite(file, pixels[c, z], photometric="minisblack")
        planes[f"s_C{c + 1:03d}Z{z + 1:03d}.tif"] = file.getvalue()
    return "\r\n".join(lines), planes


def write_oif(path: Path, pixels: np.ndarray, channels: list[str]) -> Path:
    text, planes = oif_parts(pixels, channels)
    path.write_bytes(text.encode("utf-16"))
    folder = path.with_name(f"{path.name}.files")
    folder.mkdir()
    for name, data in planes.items():
        (folder / name).write_bytes(data)
    return path


def oib(
    pixels: np.ndarray,
    channels: list[str],
    picture: bytes | None = None,
    tables: Sequence[bytes] = (),
) -> bytes:
    """Give an OIB file; `picture` stands where the TIFF of each plane would.

    The last colours of lookup `tables` are blue, green, red and a byte that says nothing.
    """
    text, planes = oif_parts(pixels, channels)
    planes = planes if picture is None else dict.fromkeys(planes, picture)
    planes |= {f"a_LUT{n}.lut": bytes(262140) + end for n, end in enumerate(tables, 1)}
    filled = "\r\n" * SMALL
    info = ["[OibSaveInfo]", 'MainFileName="Stream00000"', "Stream00000=a.oif"]
    streams = {"Stream00000": (text + filled).encode("utf-16")}
    for number, (name, data) in enumerate(planes.items(), 1):
        info.append(f"Stream{number:05d}={name}")
        streams[f"Stream{number:05d}"] = data
    streams["OibInfo.txt"] = ("\r\n".join(info) + filled).encode("utf-16")
    return compound(streams)


def txrm(pixels: np.ndarray, size_um: float, taken: int | None = None) -> bytes:
    """Give projections as an X-ray microscope writes them."""
    count, height, width = pixels.shape
    kinds = {"uint8": 3, "uint16": 5, "float32": 10}
    numbers = {
        "ImageWidth": width,
        "ImageHeight": height,
        "DataType": kinds[pixels.dtype.name],
        "NoOfImages": count if taken is None else taken,
        "ImagesTaken": count if taken is None else taken,
    }
    streams = {f"ImageInfo/{name}": struct.pack("<i", n) for name, n in numbers.items()}
    streams["ImageInfo/PixelSize"] = struct.pack("<f", size_um)
    streams |= {f"ImageData1/Image{n + 1}": plane.tobytes() for n, plane in enumerate(pixels)}
    return compound(streams)


def compound(streams: Mapping[str, bytes]) -> bytes:
    """Give an OLE compound file; names have one folder at most, small streams are filled up."""
    folders = sorted({name.split("/")[0] for name in streams if "/" in name})
    entries: list[list[Any]] = [["Root Entry", 5, 0, 0, NO_ENTRY, NO_ENTRY]]
    sectors, table = b"", []

    def store(data: bytes) -> int:
        nonlocal sectors
        padded = data + bytes(-len(data) % SECTOR)
        start, count = len(table), len(padded) // SECTOR
        table.extend([*range(start + 1, start + count), END])
        sectors += padded
        return start

    def add(names: list[str], prefix: str) -> int:
        """Add entries as a chain of right siblings, which readers take as a tree."""
        chain = []
        for name in sorted(names, key=lambda n: (len(n), n.upper())):
            if prefix or name not in folders:
                data = streams[prefix + name].ljust(SMALL, b"\0")
                entries.append([name, 2, store(data), len(data), NO_ENTRY, NO_ENTRY])
                chain.append(len(entries) - 1)
            else:
                entries.append([name, 1, 0, 0, NO_ENTRY, NO_ENTRY])
                here = len(entries) - 1
                inside = [n.split("/")[1] for n in streams if n.startswith(f"{name}/")]
                entries[here][5] = add(inside, f"{name}/")
                chain.append(here)
        for one, other in pairwise(chain):
            entries[one][4] = other
        return chain[0]

    entries[0][5] = add([*folders, *(n for n in streams if "/" not in n)], "")
    directory = b""
    for name, kind, start, size, right, child in entries:
        text = name.encode("utf-16-le") + b"\0\0"
        first = start if kind == 2 else END
        directory += text.ljust(64, b"\0") + struct.pack("<HBB", len(text), kind, 1)
        directory += struct.pack("<III", NO_ENTRY, right, child) + bytes(36)
        directory += struct.pack("<IQ", first, size)
    directory += (b"\0" * 64 + struct.pack("<HBBIII", 0, 0, 0, NO_ENTRY, NO_ENTRY, NO_ENTRY)).ljust(
        128, b"\0"
    ) * (-len(entries) % 4)
    at = store(directory)
    fats = 1
    while (len(table) + fats) * 4 > fats * SECTOR:
        fats += 1
    places = list(range(len(table), len(table) + fats))
    table.extend([FAT] * fats)
    fat = struct.pack(f"<{len(table)}I", *table)
    fat += struct.pack("<I", FREE) * ((-len(fat) % SECTOR) // 4)
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    head += struct.pack("<HHHHH6xIII4x", 0x3E, 3, 0xFFFE, 9, 6, 0, fats, at)
    head += struct.pack("<IIIII", SMALL, END, 0, END, 0)
    head += struct.pack("<109I", *places, *[FREE] * (109 - fats))
    return head + sectors + fat


def deltavision(
    pixels: np.ndarray, sequence: int, counts: Mapping[str, int], *, order: str = "<"
) -> bytes:
    """Give a DeltaVision file of (planes, height, width); .1 x .1 x .3 um."""
    modes: dict[str, int] = {"uint8": 0, "int16": 1, "float32": 2, "uint16": 6}
    head = bytearray(1024)
    put: Callable[..., None] = struct.pack_into
    planes, height, width = pixels.shape
    put(f"{order}4i", head, 0, width, height, planes, modes[pixels.dtype.name])
    put(f"{order}3f", head, 40, 0.1, 0.1, 0.3)
    put(f"{order}i", head, 92, 128)
    put(f"{order}h", head, 96, -16224)
    put(f"{order}2h", head, 180, counts["T"], sequence)
    put(f"{order}6h", head, 196, counts["C"], 525, 632, 0, 0, 0)
    return bytes(head) + bytes(128) + pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()


def gatan(
    pixels: np.ndarray,
    kind: int,
    steps: Sequence[tuple[float, str]],
    *,
    version: int = 3,
    order: str = "<",
    thumbnail: bool = True,
) -> bytes:
    """Give a DM3 or DM4 file; `kind` is Gatan's number of a type, `steps` those of X, Y, ..."""
    count = ">i" if version == 3 else ">q"

    def number(value: int) -> bytes:
        return struct.pack(count, value)

    def array(values: np.ndarray, code: int) -> bytes:
        stored = values.astype(values.dtype.newbyteorder(order)).tobytes()
        return b"%%%%" + b"".join(map(number, (3, 20, code, values.size))) + stored

    def leaf(value: Any) -> bytes:
        if isinstance(value, np.ndarray):
            return array(value.ravel(), {1: 10, 2: 4, 4: 6}[value.dtype.itemsize])
        if isinstance(value, str):
            return array(np.frombuffer(value.encode("utf-16-le"), "<u2"), 4)
        code, form = (6, "f") if isinstance(value, float) else (5, "I")
        return b"%%%%" + number(1) + number(code) + struct.pack(order + form, value)

    def folder(tags: Mapping[str, Any] | list[Any]) -> bytes:
        named = tags.items() if isinstance(tags, dict) else (("", tag) for tag in tags)
        told = b"\1\0" + number(len(tags))
        for name, tag in named:
            inner = isinstance(tag, dict | list)
            content = folder(tag) if inner else leaf(tag)
            told += struct.pack(">BH", 20 if inner else 21, len(name)) + name.encode()
            told += (number(len(content)) if version == 4 else b"") + content
        return told

    rectangle = b"%%%%" + b"".join(map(number, (7, 15, 0, 2, 0, 3, 0, 3))) + bytes(8)
    shape = pixels.shape[:-1] if kind == 23 else pixels.shape
    calibration = [{"Origin": 0.0, "Scale": s, "Units": unit} for s, unit in steps]
    image = {
        "Calibrations": {"Dimension": calibration},
        "Data": pixels,
        "DataType": kind,
        "Dimensions": [*shape[::-1]],
    }
    preview = {"Data": np.zeros((4, 4, 4), np.uint8), "DataType": 23, "Dimensions": [4, 4]}
    every: list[Any] = [{"ImageData": preview}] if thumbnail else []
    every.append({"ImageData": image, "Name": "field 7"})
    tree = {"ImageList": every, "Thumbnails": [{"ImageIndex": 0}] if thumbnail else []}
    # A structure, as those that say where a window was, is passed over.
    root = folder(tree)
    head = b"\1\0" + number(3) + struct.pack(">BH", 21, 6) + b"Bounds"
    head += (number(len(rectangle)) if version == 4 else b"") + rectangle
    content = head + root[2 + struct.calcsize(count) :]
    ends = struct.pack(">i", version) + number(len(content)) + struct.pack(">i", order == "<")
    return ends + content + bytes(8)


def nd2(frames: list[bytes], shape: tuple[int, int], *, padding: int = 0) -> bytes:
    """Give an ND2 file of packed frames of uint16; metadata become `padding` bytes longer."""
    magic, level, packed = 0x0ABECEDA, 11, 76

    def entry(kind: int, name: str, value: bytes) -> bytes:
        return struct.pack("BB", kind, len(name) + 1) + f"{name}\0".encode("utf-16-le") + value

    def group(name: str, parts: list[bytes]) -> bytes:
        content = b"".join(parts)
        length = 2 + 2 * len(name) + 2 + 12 + len(content)
        told = struct.pack("<IQ", len(parts), length) + content
        return entry(level, name, told) + bytes(8 * len(parts))

    height, width = shape
    numbers = {"uiWidth": width, "uiWidthBytes": 2 * width, "uiHeight": height, "uiComp": 1}
    numbers |= {"uiBpcInMemory": 16, "uiBpcSignificant": 12, "eCompression": 0}
    numbers["uiSequenceCount"] = len(frames)
    attributes = [entry(3, name, struct.pack("<I", number)) for name, number in numbers.items()]
    size = [entry(1, "bCalibrated", b"\1"), entry(6, "dCalibration", struct.pack("<d", 0.25))]
    one = struct.pack("<I", 1)
    probe = group("pFluorescentProbe", [entry(3, "m_uiColor", one)])
    planes = group("sPlaneNew", [group("a0", [entry(3, "uiCompCount", one), probe])])
    planes = group("sPicturePlanes", [entry(3, "uiCount", one), planes])
    picture = group("SLxPictureMetadata", [*size, planes])
    packer = zlib.compressobj()
    text = packer.compress(picture) + packer.compress(bytes(padding)) + packer.flush()
    chunks = {
        "ImageAttributesLV!": group("SLxImageAttributes", attributes),
        "ImageMetadataSeqLV|0!": struct.pack("BB", packed, 0) + bytes(10) + text,
    }
    chunks |= {f"ImageDataSeq|{n}!": bytes(8) + frame for n, frame in enumerate(frames)}
    content = struct.pack("<IIQ", magic, 32, 64) + b"ND2 FILE SIGNATURE CHUNK NAME01!"
    content += b"Ver3.0".ljust(64, b"\0")
    listed = b""
    for name, data in chunks.items():
        listed += name.encode() + struct.pack("<QQ", len(content), len(data))
        padded = name.encode().ljust(64, b"\0")
        content += struct.pack("<IIQ", magic, len(padded), len(data)) + padded + data
    place, end = len(content), b"ND2 CHUNK MAP SIGNATURE 0000001!"
    listed += end + struct.pack("<Q", place)
    head = struct.pack("<IIQ", magic, 32, len(listed)) + b"ND2 FILEMAP SIGNATURE NAME 0001!"
    return content + head + listed
