"""Strict MetaImage in: .mha, and .mhd with its voxels in one file beside it (https://itk.org/Wiki/MetaIO)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medgen.scans.detached import beside
from medgen.scans.grid import check_grid
from medgen.scans.scan import Reading, Scan, ScanError
from medgen.scans.stored import RATIO, Inflated, Stored, Stream, check_size, skip
from medgen.scans.voxels import Layout, read_voxels, scan_of

TYPES = {"MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
         "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4",
         "MET_DOUBLE": "f8"}  # fmt: skip
#: Other names that MetaIO reads for the same fields.
SAME = {"Position": "Offset", "Origin": "Offset", "Rotation": "TransformMatrix", "Orientation": "TransformMatrix",
        "ElementByteOrderMSB": "BinaryDataByteOrderMSB"}  # fmt: skip
SCALING = {"ElementToIntensityFunctionSlope": "1", "ElementToIntensityFunctionOffset": "0"}


def read_metaimage(path: Path, reading: Reading) -> Scan:
    """Read a MetaImage of three axes; with `reading.four_d`, of a fourth axis of volumes.

    Its world is LPS, and it lies along that where it has no TransformMatrix, as the format defines. Raw, zlib and gzip
    voxels are read. Raises `ScanError` for whatever else. A permissive `reading` takes: no ElementSpacing (as 1 mm), an
    AnatomicalOrientation at odds with the matrix (which is taken), and NaN voxels.
    """
    with Stored(path) as stored:
        fields, header = _fields(path, stored)
        layout = _layout(path, fields, reading)
        affine = _affine(path, fields, reading)
        name = fields["ElementDataFile"]
        if name in ("LOCAL", "Local", "local"):
            return _read(path, stored, len(header), fields, layout, affine, reading)
        with Stored(beside(path, name), also=header) as detached:
            return _read(path, detached, 0, fields, layout, affine, reading)


def _read(
    path: Path, stored: Stored, start: int, fields: dict[str, str], layout: Layout, affine: np.ndarray, reading: Reading
) -> Scan:
    """Read the voxels from a file of which `start` bytes have been read."""
    packed = _flag(path, fields, "CompressedData")
    (place,) = _numbers(path, fields, "HeaderSize", 1) if "HeaderSize" in fields else [0.0]
    if place == -1 and not packed:  # the voxels are the end of the file
        place = float(stored.size - layout.size)
    if place != int(place) or place < 0 or 0 < place < start:
        raise ScanError(path, f"its header is broken (HeaderSize {place:g})", "export it again")
    start, begun = max(start, int(place)), start
    check_size(path, layout.size, stored.size - start, RATIO if packed else 1)
    skip(path, stored, start - begun)
    stream: Stream = Inflated(stored) if packed else stored
    voxels = read_voxels(path, stream, layout, reading)
    return scan_of(path, voxels, affine, layout, stored.digest(), reading)


def _fields(path: Path, stored: Stored) -> tuple[dict[str, str], bytes]:
    """Return the fields, of which ElementDataFile is the last, and the header; each may occur once."""
    fields: dict[str, str] = {}
    header = bytearray()
    while "ElementDataFile" not in fields:
        line = stored.line()
        name, equals, value = line.decode("utf-8", "replace").partition("=")
        name = SAME.get(name.strip(), name.strip())
        if not header and not (equals and name.isalpha()):
            raise ScanError(path, "is not a readable NRRD or MetaImage file", "copy or export it again")
        header += line
        if not line:
            raise ScanError(path, "is truncated inside its header", "copy or export it again")
        if not equals and line.strip():
            raise ScanError(path, "its header is broken (a line without =)", "copy or export it again")
        if name in fields and value.strip() != fields[name]:
            raise ScanError(path, "its header is broken (a field occurs twice)", "export it again")
        if equals:
            fields[name] = value.strip()
    if not header.endswith(b"\n") and fields["ElementDataFile"].upper() == "LOCAL":
        raise ScanError(path, "is truncated inside its header", "copy or export it again")
    if fields.get("ObjectType", "Image") != "Image":
        raise ScanError(path, "is no image but another MetaIO object", "give an image")
    return fields, bytes(header)


def _flag(path: Path, fields: dict[str, str], name: str, default: str = "False") -> bool:
    value = fields.get(name, default).lower()
    if value not in ("true", "false", "1", "0"):
        raise ScanError(path, f"its header is broken ({name})", "export it again")
    return value in ("true", "1")


def _numbers(path: Path, fields: dict[str, str], name: str, count: int) -> list[float]:
    try:
        numbers = [float(word) for word in fields.get(name, "").split()]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        raise ScanError(path, f"its header is broken ({name})", "export it again")
    return numbers


def _layout(path: Path, fields: dict[str, str], reading: Reading) -> Layout:
    """Return how the voxels lie, or refuse what is not one volume (or `four_d`: some) of numbers."""
    (dimensions,) = _numbers(path, fields, "NDims", 1)
    if dimensions not in (1, 2, 3, 4, 5, 6, 7):
        raise ScanError(path, "its header is broken (NDims)", "export it again")
    numbers = _numbers(path, fields, "DimSize", int(dimensions))
    sizes = [int(number) if 0 < number < 2**40 and number.is_integer() else 0 for number in numbers]
    shown = "x".join(map(str, sizes))
    if min(sizes) < 1:
        raise ScanError(path, "its header is broken (DimSize)", "export it again")
    if len(sizes) not in (3, 4):
        raise ScanError(path, f"is not a volume: shape {shown}", "give one 3D volume")
    if fields.get("ElementNumberOfChannels", "1") != "1":
        raise ScanError(path, "holds several values a voxel", "give a scalar image")
    code = TYPES.get(fields.get("ElementType", ""))
    if code is None:
        raise ScanError(path, "holds another type of voxels than numbers of 1 to 8 bytes", "export it as a scalar image")
    if not _flag(path, fields, "BinaryData", "True"):
        raise ScanError(path, "holds its voxels as text", "save them as binary data")
    scaling = [_numbers(path, {**SCALING, **fields}, name, 1) for name in SCALING]
    if scaling != [[1], [0]]:
        reason = "scales its values (ElementToIntensityFunction), which readers disagree on"
        raise ScanError(path, reason, "save them scaled")
    volumes = sizes[3] if len(sizes) == 4 else 1
    if volumes > 1 and not reading.four_d:
        raise ScanError(path, f"holds {volumes} volumes (4D), not one: shape {shown}", "split it by `medgen convert`")
    dtype = np.dtype(code).newbyteorder(">" if _flag(path, fields, "BinaryDataByteOrderMSB") else "<")
    return Layout((sizes[0], sizes[1], sizes[2]), dtype, volumes)


def _affine(path: Path, fields: dict[str, str], reading: Reading) -> np.ndarray:
    """Return the affine in RAS mm."""
    n = len(fields["DimSize"].split())
    spacing = np.ones(n)
    if "ElementSpacing" in fields or "ElementSize" in fields:
        spacing = np.array(_numbers(path, fields, "ElementSpacing" if "ElementSpacing" in fields else "ElementSize", n))
    else:
        reading.doubt(path, "has no voxel size (ElementSpacing)", "export it again", "it is taken as 1 mm")
    if fields.get("DistanceUnits", "?") not in ("?", "mm"):
        raise ScanError(path, "its unit of length is not mm, which readers disagree on", "export it again in mm")
    matrix, origin = np.eye(n), np.zeros(n)
    if "TransformMatrix" in fields:
        matrix = np.reshape(_numbers(path, fields, "TransformMatrix", n * n), (n, n)).T  # a row is the way of an axis
    else:
        reading.note("has no directions (TransformMatrix): it is taken to lie along LPS, as the format defines")
    if "Offset" in fields:
        origin = np.array(_numbers(path, fields, "Offset", n))
    else:
        reading.note("has no place (Offset): its first voxel is taken as the origin, as the format defines")
    mixed = n == 4 and (np.abs(matrix[3, :3]).max() > 1e-6 or np.abs(matrix[:3, 3]).max() > 1e-6)
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if mixed or not np.allclose(lengths, 1, atol=1e-3):
        raise ScanError(path, "its TransformMatrix is no rotation of space", "export it again from its source")
    if not spacing[:3].min() > 0:
        raise ScanError(path, "its voxel size is zero or not a number", "export it again from its source")
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = matrix[:3, :3] * spacing[:3], origin[:3]
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    check_grid(path, affine, reading)
    _check_orientation(path, fields.get("AnatomicalOrientation", ""), matrix[:3, :3], reading)
    return affine


def _check_orientation(path: Path, code: str, matrix: np.ndarray, reading: Reading) -> None:
    """Doubt a matrix that AnatomicalOrientation, where each letter is the side that an axis comes from, contradicts."""
    sides = [("R", "L"), ("A", "P"), ("I", "S")]
    if len(code) != 3 or sorted(axis for letter in code for axis, pair in enumerate(sides) if letter in pair) != [0, 1, 2]:
        return  # not told, or "???"
    cosines = [matrix[axis, place] * (1 if letter == pair[0] else -1) for place, letter in enumerate(code)
               for axis, pair in enumerate(sides) if letter in pair]  # fmt: skip
    if min(cosines) < 0.5:
        reason = "its AnatomicalOrientation contradicts its TransformMatrix"
        reading.doubt(path, reason, "find out which is true", "the TransformMatrix is taken")
