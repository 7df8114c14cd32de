"""Structural similarity in one and several scales: separable filters, slab by slab, so that it is quick and small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.ndimage import correlate1d

from medgen.evaluation.pairs import check

SIGMA, RADIUS = 1.5, 5  #: the Gaussian window of SSIM: 11 voxels a side (Wang et al. 2004)
K1, K2 = 0.01, 0.03
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  #: of the scales, the finest first (Wang et al. 2003)
SLAB = 2**20  #: about so many voxels at a time: what is worked on stays in the cache, whatever the volume


def ssim(candidate: np.ndarray, reference: np.ndarray, data_range: float, mask: np.ndarray | None = None) -> float:
    """Return the mean structural similarity: Gaussian window of 11 voxels, sigma 1.5, K1 0.01, K2 0.03, in 3D.

    Equal to scikit-image's `structural_similarity(gaussian_weights=True, use_sample_covariance=False)`: borders are
    reflected, and the mean leaves out the outermost 5 voxels of each axis. Axes of fewer than 11 voxels, which
    scikit-image refuses, are kept whole. With a mask it is the mean of the map inside the mask.

    Args:
        candidate, reference: of one shape.
        data_range: the range of values that images of this kind have, in their units.
        mask: true where to measure; everywhere by default.

    Raises ValueError as `pairs.check`.
    """
    check(candidate, reference, mask, data_range)
    if mask is None:
        return _means(candidate, reference, data_range)[0]
    total, count = 0.0, 0
    for rows, luminance, contrast in _slabs(candidate, reference, data_range, range(reference.ndim)):
        inside = np.asarray(mask[rows], bool)
        total += float((luminance * contrast)[inside].sum())
        count += int(inside.sum())
    return total / count


def ssim_map(
    candidate: np.ndarray, reference: np.ndarray, data_range: float, axes: Sequence[int] | None = None
) -> np.ndarray:
    """Return the structural similarity at each voxel, float32, with a window along `axes` (two of them: slice by slice).

    The arguments and errors are those of `ssim`.
    """
    check(candidate, reference, None, data_range)
    found = np.empty(reference.shape, np.float32)
    for rows, luminance, contrast in _slabs(candidate, reference, data_range, _all(reference, axes)):
        np.multiply(luminance, contrast, out=found[rows], casting="same_kind")
    return found


def middle(shape: Sequence[int], axes: Sequence[int] | None = None) -> tuple[slice, ...]:
    """Return the part of a map that no reflected border touches, along `axes`; axes of fewer than 11 voxels are whole."""
    blurred = range(len(shape)) if axes is None else axes
    return tuple(slice(RADIUS, n - RADIUS) if i in blurred and n > 2 * RADIUS else slice(None) for i, n in enumerate(shape))


def scales_that_fit(shape: Sequence[int]) -> int:
    """Return how many of the 5 scales of MS-SSIM an image has room for: its shortest axis halved, never under 11 voxels."""
    return sum(min(shape) // 2**scale > 2 * RADIUS for scale in range(len(WEIGHTS)))


def ms_ssim(candidate: np.ndarray, reference: np.ndarray, data_range: float, scales: int = len(WEIGHTS)) -> float:
    """Return the multi-scale structural similarity (Wang et al. 2003); with 5 scales the value of MONAI.

    The product over scales of the mean contrast-structure term (at the coarsest, of the mean SSIM), each to the power of
    its weight; a negative mean is taken as 0. Each scale halves all axes by the mean of 2 voxels. With fewer scales the
    weights are those of the finest, made to sum to 1: compare only values of equal `scales`. Arguments as `ssim`.

    Raises ValueError as `ssim`, and where the image has no room for the scales (`scales_that_fit`).
    """
    check(candidate, reference, None, data_range)
    room = scales_that_fit(reference.shape)
    if not 1 <= scales <= room:
        raise ValueError(f"an image of shape {reference.shape} has room for {room} scales of 11 voxels, not {scales}")
    weights = np.array(WEIGHTS[:scales]) / (sum(WEIGHTS[:scales]) if scales < len(WEIGHTS) else 1.0)
    product = 1.0
    for scale, weight in enumerate(weights):
        similarity, contrast = _means(candidate, reference, data_range)
        product *= max(similarity if scale == scales - 1 else contrast, 0.0) ** weight
        if scale < scales - 1:
            candidate, reference = _halved(candidate), _halved(reference)
    return float(product)


def _means(candidate: np.ndarray, reference: np.ndarray, data_range: float) -> tuple[float, float]:
    """Return the means of SSIM and of its contrast-structure term where no border reaches."""
    part = middle(reference.shape)
    first, last, _ = part[0].indices(len(reference))
    similarity = contrast = 0.0
    count = 0
    for rows, luminance, structure in _slabs(candidate, reference, data_range, range(reference.ndim)):
        kept = slice(max(first - rows.start, 0), max(last - rows.start, 0))
        structure = structure[(kept, *part[1:])]
        contrast += float(structure.sum())
        similarity += float((luminance[(kept, *part[1:])] * structure).sum())
        count += structure.size
    return similarity / count, contrast / count


def _slabs(
    candidate: np.ndarray, reference: np.ndarray, data_range: float, axes: Sequence[int]
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield rows of the first axis, and there the luminance and the contrast-structure term, in float64."""
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    length, halo = len(reference), RADIUS if 0 in axes else 0
    step = max(SLAB // max(reference[0].size, 1), 4 * RADIUS)
    for start in range(0, length, step):
        stop = min(start + step, length)
        low, high = max(start - halo, 0), min(stop + halo, length)
        a, b = (image[low:high].astype(np.float64) for image in (candidate, reference))
        kept = slice(start - low, stop - low)
        covariance = _blur(a * b, axes)[kept]
        variances = _blur(a * a + b * b, axes)[kept]
        a, b = _blur(a, axes)[kept], _blur(b, axes)[kept]
        product, squares = a * b, a * a + b * b
        covariance -= product
        variances -= squares
        yield slice(start, stop), (2 * product + c1) / (squares + c1), (2 * covariance + c2) / (variances + c2)


def _blur(image: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    x = np.arange(-RADIUS, RADIUS + 1)
    window = np.exp(-0.5 * (x / SIGMA) ** 2)
    window /= window.sum()
    for axis in axes:
        image = correlate1d(image, window, axis, mode="reflect")
    return image


def _halved(image: np.ndarray) -> np.ndarray:
    for axis, length in enumerate(image.shape):
        even, odd = (np.take(image, range(first, length - length % 2, 2), axis) for first in (0, 1))
        image = np.add(even, odd, dtype=np.float64) / 2
    return image


def _all(reference: np.ndarray, axes: Sequence[int] | None) -> Sequence[int]:
    return range(reference.ndim) if axes is None else axes
