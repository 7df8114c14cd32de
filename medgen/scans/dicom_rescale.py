"""From stored pixels to physical units: rescale and modality lookup table (PS3.3 C.11.1)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from medgen.scans.dicom_frames import Frame
from medgen.scans.dicom_header import whole
from medgen.scans.scan import Reading, ScanError

AGAIN = "export the series again"
#: Defined terms of RescaleType (PS3.3 C.11.1.1.2) and Units (C.8.9.1.1.3) that are told; any other word might name a patient.
UNITS = frozenset((
    "HU", "OD", "MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT", "CNTS", "NONE", "CM2", "CM2ML", "PCNT", "CPS",
    "BQML", "MGMINML", "UMOLMINML", "MLMING", "MLG", "1CM", "UMOLML", "PROPCNTS", "PROPCPS", "MLMINML", "MLML",
    "GML", "STDDEV", "SUV",
))  # fmt: skip


@dataclass(frozen=True)
class Convert:
    """Puts the values of stored numbers into a float32 array of the same shape; `whole`: they are whole numbers."""

    into: Callable[[np.ndarray, np.ndarray], None]
    whole: bool


def converters(frames: Sequence[Frame], reading: Reading) -> tuple[list[Convert], str]:
    """Return how the numbers of each frame become values, and the unit of the values.

    Raises `ScanError` where that is not certain: rescale missing in some frames or in part, zero, or in other units than
    elsewhere; a CT without one is a named doubt.
    """
    rescales = [_rescale(frame) for frame in frames]
    without = [frame for frame, rescale in zip(frames, rescales) if rescale is None]
    if without and len(without) < len(frames):
        path = without[0].instance.path
        raise ScanError(path, "has no rescale (slope and intercept), where other slices have one", AGAIN)
    units = _units(frames[0])
    first = frames[0]
    for keyword in ("RescaleType", "Units"):
        for frame in frames:
            if frame.text(keyword) != first.text(keyword):
                raise ScanError(frame.instance.path, f"its slices differ in {keyword}", "give one volume a folder")
    tables = [frame.instance.has("ModalityLUTSequence") for frame in frames]
    if any(tables):
        if not all(tables) or len(without) < len(frames) or any(frame.many for frame in frames):
            path = frames[tables.index(True)].instance.path
            reason = "has a modality lookup table, and a rescale or slices without one"
            raise ScanError(path, reason, "export it with rescale slope and intercept alone")
        return [_table(frame) for frame in frames], _table_units(frames)
    if without and first.text("Modality") == "CT":
        reason, remedy = "is a CT that has no complete rescale (slope and intercept), so not in HU", AGAIN
        reading.doubt(first.instance.path, reason, remedy, "values are taken as stored, in arbitrary units")
        units = "arbitrary"
    if units == "arbitrary" and first.text("Modality") == "CT" and not without:
        reading.note("is a CT whose RescaleType is not HU")
    return [_linear(*(rescale or (1.0, 0.0))) for rescale in rescales], units


def check_alike(frames: Sequence[Frame], reading: Reading) -> None:
    """Doubt a volume of which most slices have one rescale and one PixelRepresentation, and some another.

    Where each slice has a rescale of its own, as in PET, there is no such majority. A digit that was damaged in one
    header would change its values unseen.
    """
    told = [(_rescale(frame), frame.text("PixelRepresentation")) for frame in frames]
    most, count = Counter(told).most_common(1)[0]
    if len(frames) / 2 < count < len(frames):
        odd = next(frame for frame, own in zip(frames, told) if own != most)
        reason = "has another rescale or PixelRepresentation than most other slices"
        reading.doubt(odd.instance.path, reason, "compare their headers", "each slice is read as it says")


def _rescale(frame: Frame) -> tuple[float, float] | None:
    path = frame.instance.path
    try:
        slope, intercept = frame.numbers("RescaleSlope"), frame.numbers("RescaleIntercept")
    except ValueError:
        raise ScanError(path, "its rescale is zero or not a number", AGAIN) from None
    if not slope and not intercept:
        return None
    if len(slope) != 1 or len(intercept) != 1:
        raise ScanError(path, "has no complete rescale (slope and intercept)", AGAIN)
    if not (math.isfinite(slope[0]) and math.isfinite(intercept[0])) or slope[0] == 0:
        raise ScanError(path, "its rescale is zero or not a number", AGAIN)
    return slope[0], intercept[0]


def _units(first: Frame) -> str:
    word = (first.text("RescaleType") or "HU") if first.text("Modality") == "CT" else first.text("Units")
    return word if word in UNITS else "arbitrary"


def _linear(slope: float, intercept: float) -> Convert:
    def convert(stored: np.ndarray, out: np.ndarray) -> None:
        if stored.dtype.itemsize > 2:  # float32 would round before it scales
            out[...] = stored.astype(np.float64) * slope + intercept
            return
        out[...] = stored  # exact, and in steps of one array each, which are faster than numpy's conversion on the way
        if slope != 1:
            out *= np.float32(slope)
        if intercept:
            out += np.float32(intercept)

    return Convert(convert, slope.is_integer() and intercept.is_integer())


def _table(frame: Frame) -> Convert:
    """Return a lookup in ModalityLUTSequence: numbers below and above it have its first and last value."""
    ds, path = frame.instance.ds, frame.instance.path
    try:
        item = ds.ModalityLUTSequence[0]
        count, start, _ = (int(value) for value in item.LUTDescriptor)
        count = count or 65536
        if whole(frame.instance, "PixelRepresentation") and start > 32767:
            start -= 65536
        data = item.LUTData
        little = ds.original_encoding[1]
        if isinstance(data, bytes):
            table = np.frombuffer(data, f"{'<' if little else '>'}u2" if len(data) >= 2 * count else "u1")
        else:
            table = np.array(data)
        if len(table) != count and not (table.dtype == np.uint8 and len(table) == count + 1):
            raise ValueError
        values = table[:count].astype(np.float32)
    except Exception:  # noqa: BLE001  a broken table raises many types
        raise ScanError(path, "its modality lookup table is broken", "export it with rescale slope and intercept") from None

    def convert(stored: np.ndarray, out: np.ndarray) -> None:
        out[...] = values[np.clip(stored.astype(np.int64) - start, 0, count - 1)]

    return Convert(convert, True)


def _table_units(frames: Sequence[Frame]) -> str:
    kinds = {str(frame.instance.ds.ModalityLUTSequence[0].get("ModalityLUTType") or "US") for frame in frames}
    if len(kinds) > 1:
        raise ScanError(frames[0].instance.path.parent, "its slices differ in ModalityLUTType", "give one volume a folder")
    return "HU" if kinds == {"HU"} else "arbitrary"
