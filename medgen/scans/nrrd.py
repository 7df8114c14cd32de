"""Strict NRRD in: .nrrd, and .nhdr with voxels in one file beside it (http://teem.sourceforge.net/nrrd/format.html)."""

from __future__ import annotations

import bz2
import io
import math
import re
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from medgen.scans.detached import beside
from medgen.scans.grid import check_grid
from medgen.scans.scan import Reading, Scan, ScanError
from medgen.scans.stored import RATIO, Inflated, Stored, Stream, check_size, read_exactly, read_some, skip
from medgen.scans.voxels import Layout, read_voxels, scan_of

#: What turns each anatomical space to RAS; the other three names are their short forms.
SPACES = {"right-anterior-superior": (1, 1, 1), "left-anterior-superior": (-1, 1, 1),
          "left-posterior-superior": (-1, -1, 1), "ras": (1, 1, 1), "las": (-1, 1, 1), "lps": (-1, -1, 1)}  # fmt: skip
UNKNOWN_SPACES = ("", "scanner-xyz", "3d-right-handed")  #: which ITK reads as LPS
MILLIMETRES = {"": 1.0, "mm": 1.0, "millimeter": 1.0, "millimetre": 1.0, "um": 1e-3, "µm": 1e-3, "micron": 1e-3,
               "cm": 10.0, "m": 1e3, "meter": 1e3}  # fmt: skip
TYPES = {
    **dict.fromkeys(["signed char", "int8", "int8_t"], "i1"),
    **dict.fromkeys(["uchar", "unsigned char", "uint8", "uint8_t"], "u1"),
    **dict.fromkeys(["short", "short int", "signed short", "signed short int", "int16", "int16_t"], "i2"),
    **dict.fromkeys(["ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"], "u2"),
    **dict.fromkeys(["int", "signed int", "int32", "int32_t"], "i4"),
    **dict.fromkeys(["uint", "unsigned int", "uint32", "uint32_t"], "u4"),
    **dict.fromkeys(["longlong", "long long", "long long int", "signed long long", "signed long long int"], "i8"),
    **dict.fromkeys(["int64", "int64_t"], "i8"),
    **dict.fromkeys(["ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"], "u8"),
    "float": "f4",
    "double": "f8",
}
#: Other names of the same fields.
SAME = {"datafile": "data file", "lineskip": "line skip", "byteskip": "byte skip"}
#: Kinds of an axis beside the three of space along which volumes lie; the other kinds are components of one value.
VOLUMES = ("list", "time", "domain", "none", "???", "")
FIELD = re.compile(r"([^:]+):\s*(.*?)\s*$")


def read_nrrd(path: Path, reading: Reading) -> Scan:
    """Read a NRRD of three axes in an anatomical space; with `reading.four_d`, of a fourth axis of volumes, first or last.

    Raw, gzip, bzip2 and text encodings are read. Units of space are turned to mm. Raises `ScanError` for whatever else.
    A permissive `reading` takes: no or an unknown space (as LPS), no directions but spacings, no origin (as 0), and
    NaN voxels.
    """
    with Stored(path) as stored:
        fields, header = _fields(path, stored)
        layout = _layout(path, fields, reading)
        affine = _affine(path, fields, reading)
        name = fields.get("data file")
        if name is None:
            return _read(path, stored, stored.size - len(header), fields, layout, affine, reading)
        with Stored(beside(path, name), also=header) as detached:
            return _read(path, detached, detached.size, fields, layout, affine, reading)


def _read(
    path: Path, stored: Stored, size: int, fields: dict[str, str], layout: Layout, affine: np.ndarray, reading: Reading
) -> Scan:
    """Read the voxels, once `stored` is at the first byte after the header."""
    lines, skipped = (_whole(path, fields, name, "0")[0] for name in ("line skip", "byte skip"))
    encoding = fields.get("encoding", "").lower()
    if lines < 0 or skipped < -1 or (skipped == -1 and encoding != "raw"):
        raise ScanError(path, f"its header is broken (skips of {lines} lines, {skipped} bytes)", "export it again")
    for _ in range(lines):
        while read_exactly(path, stored, 1) != b"\n":
            pass
    stream: Stream = stored
    ratio: float = 1
    if encoding in ("gz", "gzip"):
        stream, ratio = Inflated(stored), RATIO
    elif encoding in ("bz2", "bzip2"):
        ratio = math.inf
        stream = bz2.BZ2File(cast(BinaryIO, stored))  # which asks no more of a file than to read
    elif encoding in ("txt", "text", "ascii"):
        stream, layout = _text(path, stored, layout)
    elif encoding != "raw":
        raise ScanError(path, "is encoded in another way than raw, gzip, bzip2 or text", "save it as raw or gzip")
    if not isinstance(stream, io.BytesIO):
        check_size(path, max(skipped, 0) + layout.size, size, ratio)
        skip(path, stream, size - layout.size if skipped == -1 else skipped)
    voxels = read_voxels(path, stream, layout, reading)
    return scan_of(path, voxels, affine, layout, stored.digest(), reading)


def _fields(path: Path, stored: Stored) -> tuple[dict[str, str], bytes]:
    """Return the fields by name in lower case, and the header; each may occur once."""
    fields: dict[str, str] = {}
    header = bytearray()
    while not header.endswith((b"\n\n", b"\n\r\n")):
        line = stored.line()
        header += line
        if not header.startswith(b"NRRD000"):
            raise ScanError(path, "is not a readable NRRD or MetaImage file", "copy or export it again")
        if not line.endswith(b"\n"):  # of a detached header, the end
            if line or "data file" not in fields:
                raise ScanError(path, "is truncated inside its header", "copy or export it again")
            return fields, bytes(header)
        text = line.decode("utf-8", "replace")
        match = FIELD.match(text)
        if text.startswith("#") or not match or match[2].startswith("="):
            continue
        name = match[1].strip().lower()
        name = SAME.get(name, name)
        if name in fields:
            raise ScanError(path, "its header is broken (a field occurs twice)", "export it again")
        fields[name] = match[2]
        if name == "data file" and match[2].split()[:1] == ["LIST"]:
            raise ScanError(path, "its voxels are in a list of files", "save header and voxels as one file")
    return fields, bytes(header)


def _whole(path: Path, fields: dict[str, str], name: str, default: str = "") -> list[int]:
    try:
        return [int(word) for word in fields.get(name, default).split()]
    except ValueError:
        raise ScanError(path, f"its header is broken ({name})", "export it again") from None


def _vectors(path: Path, fields: dict[str, str], name: str) -> list[list[float] | None]:
    """Return vectors in parentheses, None for each "none"."""
    words = re.findall(r"\([^)]*\)|none", fields.get(name, ""))
    try:
        found = [None if word == "none" else [float(number) for number in word[1:-1].split(",")] for word in words]
    except ValueError:
        found = [[]]
    if any(vector is not None and len(vector) != 3 for vector in found):
        raise ScanError(path, f"its header is broken ({name})", "export it again")
    return found


def _layout(path: Path, fields: dict[str, str], reading: Reading) -> Layout:
    """Return how the voxels lie, or refuse what is not one volume (or `four_d`: some) of numbers."""
    sizes = _whole(path, fields, "sizes")
    shown = "x".join(map(str, sizes))
    if _whole(path, fields, "dimension") != [len(sizes)] or min(sizes, default=0) < 1:
        raise ScanError(path, f"its header is broken (dimension and sizes {shown})", "export it again")
    code = TYPES.get(fields.get("type", "").lower())
    if code is None:
        raise ScanError(path, "holds another type of voxels than numbers of 1 to 8 bytes", "export it as a scalar image")
    endian = fields.get("endian", "").lower()
    text = fields.get("encoding", "").lower() in ("txt", "text", "ascii")
    if endian not in ("little", "big") and not (endian == "" and (code.endswith("1") or text)):
        raise ScanError(path, "its header is broken (no byte order)", "export it again")
    dtype = np.dtype(code).newbyteorder(">" if endian == "big" else "<")
    if len(sizes) < 3 or len(sizes) > 4:
        raise ScanError(path, f"is not a volume: shape {shown}", "give one 3D volume")
    directions = _vectors(path, fields, "space directions")
    place = directions.index(None) if None in directions else len(sizes) - 1
    if len(sizes) == 3:
        return Layout((sizes[0], sizes[1], sizes[2]), dtype)
    kinds = fields.get("kinds", "").lower().split()
    kind = kinds[place] if len(kinds) == 4 else ""
    if kind not in VOLUMES:
        raise ScanError(path, "holds several values a voxel, which are not volumes by its kinds", "give a scalar image")
    if place not in (0, 3):
        raise ScanError(path, f"its volumes lie along axis {place + 1} of 4", "put them along the first or the last axis")
    volumes = sizes.pop(place)
    if volumes > 1 and not reading.four_d:
        raise ScanError(path, f"holds {volumes} volumes (4D), not one: shape {shown}", "split it by `medgen convert`")
    return Layout((sizes[0], sizes[1], sizes[2]), dtype, volumes, interleaved=place == 0)


def _affine(path: Path, fields: dict[str, str], reading: Reading) -> np.ndarray:
    """Return the affine in RAS mm."""
    space = fields.get("space", "").lower()
    if space in UNKNOWN_SPACES:
        what = f"its space is {space}" if space else "has no orientation (no space)"
        reading.doubt(path, f"{what}, which does not tell left from right", "export it again", "it is taken as LPS")
        space = "lps"
    if space not in SPACES:
        raise ScanError(path, "its space is no anatomical space of three axes", "export it again as RAS, LAS or LPS")
    affine = np.eye(4)
    directions = [vector for vector in _vectors(path, fields, "space directions") if vector is not None]
    if "space directions" in fields:
        if len(directions) != 3:
            raise ScanError(path, f"its header is broken ({len(directions)} space directions)", "export it again")
        affine[:3, :3] = np.transpose(directions)
    else:
        spacings = [word for word in fields.get("spacings", "").lower().split() if word != "nan"]
        if len(spacings) != 3 or not all(re.fullmatch(r"[\d.eE+-]+", word) for word in spacings):
            raise ScanError(path, "has no orientation (no space directions)", "export it again from its source")
        reading.doubt(
            path, "has no orientation (no space directions)", "export it again", "its axes are taken as those of its space"
        )
        affine[:3, :3] = np.diag([float(word) for word in spacings])
    origin = _vectors(path, fields, "space origin")
    if len(origin) == 1 and origin[0] is not None:
        affine[:3, 3] = origin[0]
    else:
        reading.doubt(path, "has no place (no space origin)", "export it again", "its first voxel is taken as the origin")
    units = set(re.findall(r'"([^"]*)"', fields.get("space units", '""'))) - {"???"} or {""}
    unit = units.pop().strip()
    if units or unit not in MILLIMETRES:
        raise ScanError(path, "its units of length are unknown, or not the same along all axes", "export it again in mm")
    affine = np.diag([*np.multiply(SPACES[space], MILLIMETRES[unit]), 1.0]) @ affine
    check_grid(path, affine, reading)
    return affine


def _text(path: Path, stored: Stored, layout: Layout) -> tuple[Stream, Layout]:
    """Return voxels that are written as text as those bytes, and how these lie."""
    if layout.count * 2 - 1 > stored.size:  # a digit and a blank for each
        raise ScanError(path, f"is truncated: {layout.count} numbers do not fit the file", "copy or export it again")
    words = read_some(path, stored, stored.size).replace(b",", b" ").split()
    try:
        values = np.array(words, dtype=layout.dtype.newbyteorder("="))
    except (ValueError, OverflowError):
        raise ScanError(path, "its voxels are not all numbers of their type", "copy or export it again") from None
    return io.BytesIO(values.astype(layout.dtype).tobytes()), layout
