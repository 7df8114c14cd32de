"""The images of a report: a case's volumes on one grid, as pictures in three planes and as small NIfTI for the viewer."""

from __future__ import annotations

import gzip
import io
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import nibabel as nib
import numpy as np
from PIL import Image
from scipy.ndimage import affine_transform, gaussian_filter

from medgen.batch.picture import planes
from medgen.batch.report_cases import Shown
from medgen.evaluation.without_reference import foreground
from medgen.scans import Scan, read

GAP = 4  #: pixels between the planes of a picture
TISSUE = (-160.0, 240.0)  #: HU, shown as black and white


@dataclass(frozen=True)
class Layers:
    """The volumes of a case on the grid of its result, each (X, Y, Z), in the scan's units, and how to show them."""

    images: dict[str, np.ndarray]
    windows: dict[str, tuple[float, float]]  #: values shown as black and white
    affine: np.ndarray
    units: str
    interpolated: tuple[str, ...]  #: those that lay on another grid

    @property
    def inside(self) -> np.ndarray:
        """Where there is something to see."""
        return foreground(self.images.get("reference", self.images["result"]))

    @cached_property
    def place(self) -> list[int] | None:
        """The voxel to look at: where most was changed, of a result that is the input in most voxels; else None, the middle."""
        changed = self.images.get("difference", np.zeros(1)) != 0
        if not 0 < changed.mean() < 0.5:
            return None
        sums = (changed.sum(tuple(other for other in range(3) if other != axis)) for axis in range(3))
        return [int(np.median(np.flatnonzero(one == one.max()))) for one in sums]


def layers(case: Shown) -> Layers:
    """Read a case. "difference" is result - input, "error" is result - reference. Raises `ScanError`."""
    # an input that was run was accepted
    scans = {name: read(one, permissive=name == "input", repair=name == "input") for name, one in case.scans.items()}
    result = scans["result"]
    images: dict[str, np.ndarray] = {}
    interpolated: list[str] = []
    for name in ("input", "result", "uncertainty", "reference"):
        if name in scans:
            images[name], moved = _on(result, scans[name])
            interpolated += [name] if moved else []
    if "input" in images:
        images["difference"] = images["result"] - images["input"]
    if "reference" in images:
        images["error"] = images["result"] - images["reference"]
    order = ("input", "result", "difference", "uncertainty", "reference", "error")
    images = {name: images[name] for name in order if name in images}
    return Layers(images, _windows(images, result.units), result.image.affine.numpy().astype(float), result.units, tuple(interpolated))


def picture(found: Layers, name: str) -> bytes:
    """Return a PNG of one volume: its axial, coronal and sagittal middle (or `Layers.place`), one under the other."""
    drawn = planes(found.images[name], found.affine, found.windows[name], found.place)
    width, height = max(one.width for one in drawn), sum(one.height + GAP for one in drawn) - GAP
    canvas = Image.new("L", (width, height), 0)
    top = 0
    for one in drawn:
        canvas.paste(one, ((width - one.width) // 2, top))
        top += one.height + GAP
    file = io.BytesIO()
    canvas.save(file, "PNG")
    return file.getvalue()


def small(found: Layers, name: str, most: int) -> str:
    """Return one volume as base64 of gzipped NIfTI of at most `most` bytes before compression, for looking only.

    8 bits over the range of values; HU are 16 bits. Above `most`, voxels are made larger, the smallest first.
    """
    hounsfield = found.units == "HU" and name in ("input", "result", "reference")
    image, affine = _reduced(found.images[name], found.affine, most // (2 if hounsfield else 1))
    low, high = _span(found, name)
    slope, start = (1.0, 0.0) if hounsfield else (max(high - low, 1e-6) / 255, low)
    stored = np.rint((np.clip(image, low, high) - start) / slope).astype(np.int16 if hounsfield else np.uint8)
    header = nib.Nifti1Header()
    header.set_data_dtype(stored.dtype)
    header.set_data_shape(stored.shape)
    header.set_xyzt_units("mm")
    header.set_qform(affine, code=1)
    header.set_sform(affine, code=1)
    header["scl_slope"], header["scl_inter"], header["vox_offset"], header["magic"] = slope, start, 352, b"n+1"
    return b64encode(gzip.compress(header.binaryblock + bytes(4) + stored.tobytes(order="F"), 6, mtime=0)).decode()


def _on(result: Scan, scan: Scan) -> tuple[np.ndarray, bool]:
    """Return a scan's voxels on the grid of the result, linearly interpolated where it has another, and whether it has."""
    image, shape = np.asarray(scan.image[0], dtype=np.float32), tuple(result.image.shape[1:])
    there = np.linalg.inv(scan.image.affine.numpy().astype(float)) @ result.image.affine.numpy().astype(float)
    if image.shape == shape and np.allclose(there, np.eye(4), atol=1e-3):
        return image, False
    return affine_transform(image, there[:3, :3], there[:3, 3], output_shape=shape, order=1, mode="nearest"), True


def _windows(images: Mapping[str, np.ndarray], units: str) -> dict[str, tuple[float, float]]:
    """Return what to show as black and white: the same for all scans of a case, and for all differences."""
    first = next(images[name] for name in ("reference", "input", "result") if name in images)
    top = float(np.percentile(first[first > 0], 99.5)) if (first > 0).any() else float(first.max())
    scans = TISSUE if units == "HU" else (min(0.0, float(np.percentile(first, 0.5))), top)
    apart = [_top(np.abs(images[name])) for name in ("difference", "error") if name in images]
    apart_most = max([*apart, 1e-6])
    spread = _top(images["uncertainty"]) if "uncertainty" in images else 1.0
    kinds = {"difference": (-apart_most, apart_most), "error": (-apart_most, apart_most), "uncertainty": (0.0, max(spread, 1e-6))}
    return {name: kinds.get(name, scans) for name in images}


def _top(image: np.ndarray) -> float:
    """Return what counts as the highest of values of 0 and above: of those that are not 0, as most are where a repair kept the input."""
    return float(np.percentile(image[image != 0], 99.5)) if image.any() else 0.0


def _span(found: Layers, name: str) -> tuple[float, float]:
    """Return the values that the viewer can tell apart: for scans more than the window, which can be moved there."""
    low, high = found.windows[name]
    if name not in ("input", "result", "reference"):
        return low, high
    return (-32768.0, 32767.0) if found.units == "HU" else (low, low + 1.25 * (high - low))


def _reduced(image: np.ndarray, affine: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a volume of at most `most` voxels, smoothed by what it loses, and its affine."""
    spacing, shape = np.linalg.norm(affine[:3, :3], axis=0), np.array(image.shape)

    def sizes(side: float) -> np.ndarray:
        return np.maximum(np.floor(shape * spacing / np.maximum(spacing, side)), 1).astype(int)

    if shape.prod() <= most:
        return image, affine
    low, high = float(spacing.min()), float((shape * spacing).max())
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if sizes(middle).prod() <= most else (middle, high)
    factors = np.maximum(spacing, high) / spacing
    step = np.diag(factors)
    smooth = gaussian_filter(image, 0.42 * np.sqrt(factors**2 - 1))
    offset = (factors - 1) / 2
    to_old = np.eye(4)
    to_old[:3, :3], to_old[:3, 3] = step, offset
    return affine_transform(smooth, factors, offset, output_shape=tuple(sizes(high)), order=1, mode="nearest"), affine @ to_old
