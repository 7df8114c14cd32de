"""Where the frames of one volume lie: their order along the normal, and the affine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medgen.scans.dicom_frames import Frame
from medgen.scans.scan import ScanError

AGAIN = "export the series again with its geometry"
RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  #: from LPS
LONGEST = 8  #: slices missing in a row that can be filled
MOST = 1 / 3  #: of all slices of the grid that may be missing


def place(frame: Frame, keyword: str, length: int) -> np.ndarray:
    """Return the numbers of a geometry attribute. Raises `ScanError` where they are missing or not finite."""
    path = frame.instance.path
    try:
        value = np.array(frame.numbers(keyword))
        wrong = not np.isfinite(value).all()
    except ValueError:
        value, wrong = np.empty(0), True
    if wrong:
        raise ScanError(path, f"its {keyword} is not a number", AGAIN)
    if value.size != length:
        raise ScanError(path, f"has no {keyword}" if not value.size else f"has no {keyword} of {length} numbers", AGAIN)
    return value


def normal(orientation: np.ndarray) -> np.ndarray:
    """Return the unit normal of an ImageOrientationPatient (LPS)."""
    cross = np.cross(orientation[:3], orientation[3:])
    return cross / (np.linalg.norm(cross) or 1)


def geometry(folder: Path, frames: Sequence[Frame], gaps: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the order of the frames, the slice index of each in this order, and the RAS affine of (column, row, slice) indices.

    Positions may deviate from even spacing by what rounding explains: 0.02 mm, 1 % of the spacing, or 0.06 mm where they
    are written with one decimal. With `gaps`, slices may be missing between the first and the last: at most `LONGEST` in a
    row and `MOST` of all. Raises `ScanError` for whatever is no such stack of parallel, right-angled frames.
    """
    first = frames[0]
    orientation, pixel = place(first, "ImageOrientationPatient", 6), place(first, "PixelSpacing", 2)
    told = {keyword: first.text(keyword) for keyword in ("ImageOrientationPatient", "PixelSpacing")}

    def apart(frame: Frame, keyword: str, of_first: np.ndarray) -> float:
        if frame.text(keyword) == told[keyword]:  # almost always: no need to take it for numbers
            return 0.0
        return float(np.abs(place(frame, keyword, of_first.size) - of_first).max())

    for frame in frames:
        path = frame.instance.path
        if 0 in frame.size:
            raise ScanError(path, "has no Rows or Columns", "copy or export it again")
        if frame.size != first.size:
            raise ScanError(path, "its slices differ in size", "give one volume a folder")
        if apart(frame, "ImageOrientationPatient", orientation) > 1e-3:
            raise ScanError(path, "its slices differ in orientation", "give one volume a folder")
        if apart(frame, "PixelSpacing", pixel) > 1e-3 * max(pixel.min(), 1e-3):
            raise ScanError(path, "its slices differ in PixelSpacing", "give one volume a folder")
        if frame.text("FrameOfReferenceUID") != first.text("FrameOfReferenceUID"):
            raise ScanError(path, "its slices differ in their frame of reference", "give one volume a folder")
    positions = np.array([place(frame, "ImagePositionPatient", 3) for frame in frames])
    if pixel.min() <= 0:
        raise ScanError(folder, "its PixelSpacing is not above zero", "export the series again")
    x, y = orientation[:3], orientation[3:]
    if max(abs(x @ x - 1), abs(y @ y - 1), abs(x @ y)) > 2e-3:
        raise ScanError(folder, "its orientation vectors are not orthonormal", "export the series again")
    if len(frames) < 2:
        path = first.instance.path
        raise ScanError(path, "is the only slice of its series", "give the folder with all slices")
    x = x / np.linalg.norm(x)
    y = y - (y @ x) * x
    y = y / np.linalg.norm(y)
    z = np.cross(x, y)
    along = positions @ z
    order = np.argsort(along, kind="stable")
    places = _places(folder, along[order], frames, gaps)
    span = positions[order[-1]] - positions[order[0]]
    drift = positions[order] - positions[order[0]] - np.outer(along[order] - along[order[0]], z)
    if np.abs(drift).max() > max(0.05, 6e-4 * float(span @ z)):
        raise ScanError(folder, "its slices are sheared (gantry tilt)", "resample it to a right-angled grid first")
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = x * pixel[1], y * pixel[0]
    affine[:3, 2] = z * (float(span @ z) / int(places[-1]))
    affine[:3, 3] = positions[order[0]]
    return order, places, RAS @ affine


def _places(folder: Path, along: np.ndarray, frames: Sequence[Frame], gaps: bool) -> np.ndarray:
    """Return the slice indices of frames that lie at these distances (mm, rising), which are 0, 1, 2 ... but for gaps."""
    steps = np.diff(along)
    step = float(np.sort(steps)[len(steps) // 4])  # of two neighbours, also where most of what is allowed is missing
    if steps.min() < 1e-3:
        remedy = "give one volume a folder (echoes, phases, time points)"
        raise ScanError(folder, "holds two slices at one position", remedy)
    decimals = max(len(word.strip().partition(".")[2]) for f in frames for word in f.text("ImagePositionPatient").split("\\"))
    tolerance = max(0.02, 0.01 * step, 0.06 if decimals == 1 else 0)

    def is_even(places: np.ndarray) -> bool:
        line = along[0] + (along[-1] - along[0]) * places / places[-1]
        return bool(np.abs(along - line).max() <= tolerance)

    complete = np.arange(len(along))
    if is_even(complete):
        return complete
    strides = np.rint(steps / step).clip(1).astype(int)
    places = np.concatenate([[0], np.cumsum(strides)])
    missing = int(places[-1]) + 1 - len(along)
    again = "complete the series, or resample it to even spacing"
    if not missing:
        raise ScanError(folder, "its slices are unevenly spaced", again)
    if not is_even(places):
        raise ScanError(folder, f"{missing} slice(s) missing, in gaps of no whole number of slices", again)
    if strides.max() > LONGEST + 1 or missing > MOST * (places[-1] + 1):
        raise ScanError(folder, f"{missing} slice(s) missing, too many to be filled", again)
    if not gaps:
        fill = "fill it: medgen run with a bundle for repair (see medgen bundles)"
        raise ScanError(folder, f"{missing} slice(s) missing", f"complete the series, or {fill}")
    return places
