"""Volumes that are stored as tiles of one large plane: Siemens mosaics and UIH grids."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from medgen.scans.dicom_header import Instance, numbers, whole, words
from medgen.scans.dicom_values import as_ds
from medgen.scans.scan import ScanError

CONVERT = "convert it with dcm2niix"
SIEMENS, UIH = "SIEMENS CSA HEADER", "Image Private Header"


@dataclass(frozen=True)
class Tile:
    """A part of a stored plane, the number-th of it."""

    number: int
    row: int
    column: int
    rows: int
    columns: int


def tiles(instance: Instance) -> list[tuple[Tile, dict[str, tuple[str, ...]]]]:
    """Return each tile and its ImagePositionPatient; none for a plain image.

    Raises `ScanError` for a mosaic or grid that does not say for certain where its tiles lie.
    """
    kind = words(instance, "ImageType")
    if "MOSAIC" in kind:
        return _mosaic(instance)
    if "VFRAME" in kind and words(instance, "Manufacturer")[:1] == ("UIH",):
        return _grid(instance)
    return []


def _mosaic(instance: Instance) -> list[tuple[Tile, dict[str, tuple[str, ...]]]]:
    """Unpack a Siemens mosaic: square, row by row; its ImagePositionPatient is that of a plane as large as all tiles."""
    ds, path = instance.ds, instance.path
    csa = _csa(ds)
    count, normal = csa.get("NumberOfImagesInMosaic", []), csa.get("SliceNormalVector", [])
    position, orientation = numbers(instance, "ImagePositionPatient"), numbers(instance, "ImageOrientationPatient")
    pixel, gap = numbers(instance, "PixelSpacing"), numbers(instance, "SpacingBetweenSlices")
    rows, columns = whole(instance, "Rows"), whole(instance, "Columns")
    if len(count) != 1 or len(normal) != 3 or not gap or (len(position), len(orientation), len(pixel)) != (3, 6, 2):
        raise ScanError(path, "is a Siemens mosaic that does not say where its slices lie", CONVERT)
    if csa.get("ProtocolSliceNumber", [0])[0] > 1:
        raise ScanError(path, "is a Siemens mosaic with reversed slices", CONVERT)
    side = math.ceil(math.sqrt(count[0]))
    if not side or rows % side or columns % side:
        raise ScanError(path, "is a Siemens mosaic whose tiles do not fill it", CONVERT)
    height, width = rows // side, columns // side
    x, y = np.array(orientation[:3]), np.array(orientation[3:])
    cross = np.cross(x, y)
    if abs(abs(cross @ normal) - 1) > 1e-3 or gap[0] <= 0:
        raise ScanError(path, "is a Siemens mosaic whose slice normal is not that of its orientation", CONVERT)
    first = np.array(position) + x * pixel[1] * (columns - width) / 2 + y * pixel[0] * (rows - height) / 2
    step = cross * np.sign(cross @ normal) * gap[0]
    return [
        (Tile(k, k // side * height, k % side * width, height, width),
         {"ImagePositionPatient": tuple(as_ds(float(v)) for v in first + k * step)})
        for k in range(int(count[0]))
    ]  # fmt: skip


def _grid(instance: Instance) -> list[tuple[Tile, dict[str, tuple[str, ...]]]]:
    """Unpack a UIH grid: row by row, each tile's place in MRVFrameSequence (0065,xx51)."""
    ds, path = instance.ds, instance.path
    try:
        block = ds.private_block(0x0065, UIH)
        frames, count = block[0x51].value, int(block[0x50].value)
        height, width = (int(v) for v in str(block[0x04].value).lower().split("*"))  # such as 64*64
    except (KeyError, ValueError):
        raise ScanError(path, "is a UIH grid that does not say where its slices lie", CONVERT) from None
    rows, columns = whole(instance, "Rows"), whole(instance, "Columns")
    if not height or not width or rows % height or columns % width:
        raise ScanError(path, "is a UIH grid whose tiles do not fill it", CONVERT)
    across = columns // width
    if len(frames) != count or count > across * (rows // height):
        raise ScanError(path, "is a UIH grid of another number of slices than it says", CONVERT)
    return [
        (Tile(k, k // across * height, k % across * width, height, width),
         {"ImagePositionPatient": words(item, "ImagePositionPatient")})
        for k, item in enumerate(frames)
    ]  # fmt: skip


def _csa(ds: Dataset) -> dict[str, list[float]]:
    """Return the numbers of a Siemens CSA image header, format SV10: 4-byte words, items padded to a multiple of 4."""
    try:
        data = ds.private_block(0x0029, SIEMENS)[0x10].value
        if data[:4] != b"SV10":
            return {}
        (elements,) = struct.unpack_from("<I", data, 8)
        place, found = 16, {}
        for _ in range(min(elements, 1000)):
            name = data[place : place + 64].split(b"\0")[0].decode("latin-1")
            (items,) = struct.unpack_from("<I", data, place + 76)
            place += 84
            values = []
            for _ in range(min(items, 10000)):
                (length,) = struct.unpack_from("<I", data, place)
                word = data[place + 16 : place + 16 + length].split(b"\0")[0].strip()
                place += 16 + (length + 3) // 4 * 4
                if word:
                    values.append(word)
            if name in ("NumberOfImagesInMosaic", "SliceNormalVector", "ProtocolSliceNumber"):
                found[name] = [float(value) for value in values]
        return found
    except (KeyError, ValueError, struct.error):
        return {}
