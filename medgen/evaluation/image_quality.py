"""Full-reference image quality in 3D."""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import correlate1d

SIGMA, RADIUS = 1.5, 5  #: the Gaussian window of SSIM: 11 voxels a side (Wang et al. 2004)
K1, K2 = 0.01, 0.03


def psnr(candidate: np.ndarray, reference: np.ndarray, data_range: float, mask: np.ndarray | None = None) -> float:
    """Return the peak signal-to-noise ratio in dB, 10 log10(data_range^2 / MSE); infinity for identical images.

    Args:
        candidate, reference: of one shape.
        data_range: the range of values that images of this kind have, in their units.
        mask: true where to measure; everywhere by default.

    Raises ValueError for unequal shapes, an empty mask, values that are not finite, or a data range that is not
    above 0 or whose square is not finite.
    """
    candidate, reference = _checked(candidate, reference, mask, data_range)
    mse = float(_inside((candidate - reference) ** 2, mask).mean())
    return math.inf if mse == 0 else 10 * math.log10(data_range**2 / mse)


def mae(candidate: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Return the mean absolute error, in the units of the images; arguments and errors as `psnr`."""
    candidate, reference = _checked(candidate, reference, mask)
    return float(_inside(np.abs(candidate - reference), mask).mean())


def ssim(candidate: np.ndarray, reference: np.ndarray, data_range: float, mask: np.ndarray | None = None) -> float:
    """Return the mean structural similarity: Gaussian window of 11 voxels, sigma 1.5, K1 0.01, K2 0.03, in 3D.

    Equal to scikit-image's `structural_similarity(gaussian_weights=True, use_sample_covariance=False)`: borders are
    reflected, and the mean leaves out the outermost 5 voxels of each axis. Axes of fewer than 11 voxels, which
    scikit-image refuses, are kept whole. With a mask it is the mean of the map inside the mask. See `psnr` for the rest.
    """
    candidate, reference = _checked(candidate, reference, mask, data_range)
    mean_a, mean_b = _blur(candidate), _blur(reference)
    var_a = _blur(candidate * candidate) - mean_a * mean_a
    var_b = _blur(reference * reference) - mean_b * mean_b
    covariance = _blur(candidate * reference) - mean_a * mean_b
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    similarity = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    similarity /= (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    if mask is not None:
        return float(similarity[np.asarray(mask, bool)].mean())
    middle = tuple(slice(RADIUS, n - RADIUS) if n > 2 * RADIUS else slice(None) for n in similarity.shape)
    return float(similarity[middle].mean())


def measure(
    candidate: np.ndarray, reference: np.ndarray, data_range: float, mask: np.ndarray | None = None
) -> dict[str, float]:
    """Return PSNR (dB), SSIM and MAE by name."""
    return {
        "psnr": psnr(candidate, reference, data_range, mask),
        "ssim": ssim(candidate, reference, data_range, mask),
        "mae": mae(candidate, reference, mask),
    }


def _checked(
    candidate: np.ndarray, reference: np.ndarray, mask: np.ndarray | None, data_range: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    if candidate.shape != reference.shape:
        raise ValueError(f"the candidate's shape {candidate.shape} is not the reference's {reference.shape}")
    if mask is not None and (mask.shape != reference.shape or not np.any(mask)):
        raise ValueError(f"the mask (shape {mask.shape}) is empty, or not of the reference's shape {reference.shape}")
    if not (data_range > 0 and 0 < data_range * data_range < math.inf):  # its square is what the metrics use
        raise ValueError(f"the data range must be above 0 and finite, not {data_range}")
    candidate, reference = candidate.astype(np.float64), reference.astype(np.float64)
    if not (np.isfinite(candidate).all() and np.isfinite(reference).all()):
        raise ValueError("the images hold NaN or infinite values")
    return candidate, reference


def _inside(values: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    return values if mask is None else values[np.asarray(mask, bool)]


def _blur(image: np.ndarray) -> np.ndarray:
    x = np.arange(-RADIUS, RADIUS + 1)
    window = np.exp(-0.5 * (x / SIGMA) ** 2)
    window /= window.sum()
    for axis in range(image.ndim):
        image = correlate1d(image, window, axis, mode="reflect")
    return image
