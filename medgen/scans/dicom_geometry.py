"""Where the frames of one volume lie: their order along the normal, and the affine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medgen.scans.dicom_frames import Frame
from medgen.scans.scan import ScanError

AGAIN = "export the series again with its geometry"
RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  #: from LPS


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


def geometry(folder: Path, frames: Sequence[Frame]) -> tuple[np.ndarray, np.ndarray]:
    """Return the order of the frames and the RAS affine of (column, row, slice) indices.

    Positions may deviate from even spacing by what rounding explains: 0.02 mm, 1 % of the spacing, or 0.06 mm where they
    are written with one decimal. Raises `ScanError` for whatever is no even stack of parallel, right-angled frames.
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
    _check_even(folder, along[order], frames)
    span = positions[order[-1]] - positions[order[0]]
    drift = positions[order] - positions[order[0]] - np.outer(along[order] - along[order[0]], z)
    if np.abs(drift).max() > max(0.05, 6e-4 * float(span @ z)):
        raise ScanError(folder, "its slices are sheared (gantry tilt)", "resample it to a right-angled grid first")
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = x * pixel[1], y * pixel[0]
    affine[:3, 2] = z * (float(span @ z) / (len(frames) - 1))
    affine[:3, 3] = positions[order[0]]
    return order, RAS @ affine


def _check_even(folder: Path, along: np.ndarray, frames: Sequence[Frame]) -> None:
    steps = np.diff(along)
    step = float(np.median(steps))
    if steps.min() < 1e-3:
        remedy = "give one volume a folder (echoes, phases, time points)"
        raise ScanError(folder, "holds two slices at one position", remedy)
    decimals = max(len(word.strip().partition(".")[2]) for f in frames for word in f.text("ImagePositionPatient").split("\\"))
    tolerance = max(0.02, 0.01 * step, 0.06 if decimals == 1 else 0)
    line = np.linspace(along[0], along[-1], len(along))
    if np.abs(along - line).max() > tolerance:
        gaps = int(np.rint(steps / step - 1).clip(0).sum())
        reason = f"{gaps} slice(s) missing" if gaps else "its slices are unevenly spaced"
        raise ScanError(folder, reason, "complete the series, or resample it to even spacing")
