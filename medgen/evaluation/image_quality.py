"""Full-reference image quality in 3D: errors of intensity, and with `structure` the usual set of a paper."""

from __future__ import annotations

import math

import numpy as np

from medgen.evaluation.pairs import check, difference
from medgen.evaluation.structure import ssim

__all__ = ["bias", "mae", "measure", "nmse", "psnr", "psnr_slices", "rmse", "ssim"]


def psnr(candidate: np.ndarray, reference: np.ndarray, data_range: float, mask: np.ndarray | None = None) -> float:
    """Return the peak signal-to-noise ratio in dB, 10 log10(data_range^2 / MSE); infinity for identical images.

    Args:
        candidate, reference: of one shape.
        data_range: the range of values that images of this kind have, in their units.
        mask: true where to measure; everywhere by default.

    Raises ValueError for unequal shapes, an empty mask, values that are not finite, or a data range that is not
    above 0 or whose square is not finite.
    """
    check(candidate, reference, mask, data_range)
    return _decibels(float(np.square(difference(candidate, reference, mask)).mean()), data_range)


def psnr_slices(
    candidate: np.ndarray, reference: np.ndarray, data_range: float, axis: int, mask: np.ndarray | None = None
) -> float:
    """Return the mean over slices along `axis` of each slice's PSNR in dB, which is not the PSNR of the volume.

    Slices without a voxel of the mask, and identical ones, are left out; infinity where all are identical. See `psnr`.
    """
    check(candidate, reference, mask, data_range)
    other = tuple(i for i in range(reference.ndim) if i != axis)
    squares = np.square(difference(candidate, reference))
    where = True if mask is None else np.asarray(mask, bool)
    counts = np.broadcast_to(where, squares.shape).sum(axis=other)
    errors = squares.sum(axis=other, where=where)[counts > 0] / counts[counts > 0]
    values = [_decibels(float(error), data_range) for error in errors if error > 0]
    return float(np.mean(values)) if values else math.inf


def mae(candidate: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Return the mean absolute error, in the units of the images; arguments and errors as `psnr`."""
    check(candidate, reference, mask)
    return float(np.abs(difference(candidate, reference, mask)).mean())


def bias(candidate: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Return the mean of candidate minus reference, in the units of the images; arguments and errors as `psnr`."""
    check(candidate, reference, mask)
    return float(difference(candidate, reference, mask).mean())


def rmse(candidate: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Return the root mean squared error, in the units of the images; arguments and errors as `psnr`."""
    check(candidate, reference, mask)
    return math.sqrt(float(np.square(difference(candidate, reference, mask)).mean()))


def nmse(candidate: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Return the squared error over the reference's energy, sum (c - r)^2 / sum r^2 (Zbontar et al. 2018, fastMRI).

    It depends on where the zero of the unit lies, so it means little for HU. Arguments and errors as `psnr`; also
    ValueError where the reference is zero all over.
    """
    check(candidate, reference, mask)
    target = reference if mask is None else reference[np.asarray(mask, bool)]
    energy = float(np.square(target, dtype=np.float64).sum())
    if energy == 0:
        raise ValueError("the reference is zero all over, so there is no normalised error")
    return float(np.square(difference(candidate, reference, mask)).sum()) / energy


def measure(
    candidate: np.ndarray, reference: np.ndarray, data_range: float, mask: np.ndarray | None = None
) -> dict[str, float]:
    """Return PSNR (dB), SSIM and MAE by name."""
    return {
        "psnr": psnr(candidate, reference, data_range, mask),
        "ssim": ssim(candidate, reference, data_range, mask),
        "mae": mae(candidate, reference, mask),
    }


def _decibels(mse: float, data_range: float) -> float:
    return math.inf if mse == 0 else 10 * math.log10(data_range**2 / mse)
