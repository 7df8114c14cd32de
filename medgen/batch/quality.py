"""All numbers of one image, or one pair, region by region; what each means is in `DEFINITIONS`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import ParamSpec, TypeVar

import numpy as np

from medgen.evaluation.edges import edges_kept, gradient_kept
from medgen.evaluation.image_quality import bias, mae, nmse, psnr, psnr_slices, rmse
from medgen.evaluation.regions import contrast_to_noise
from medgen.evaluation.structure import middle, ms_ssim, scales_that_fit, ssim_map
from medgen.evaluation.without_reference import noise_level, sharpness, slice_consistency

P = ParamSpec("P")
T = TypeVar("T")
#: a value of a row: None where it is not defined, infinity for the PSNR of identical images
Row = dict[str, float | int | str | None]

PAIRED = {
    "psnr": "dB, 10 log10(data_range^2 / MSE) over all voxels in 3D; empty where the pair is identical",
    "ssim": "3D, Gaussian window 11, sigma 1.5, K1 0.01, K2 0.03, reflected borders, outer 5 voxels left out; in a region the "
    "mean of the map there",
    "ms_ssim": "3D, as many of the 5 scales of Wang et al. 2003 as the shortest axis has room for (ms_ssim_scales), their "
    "weights made to sum to 1; whole image only; compare only values of equal scales",
    "mae": "mean absolute error in the units of the images",
    "rmse": "root mean squared error in the units of the images",
    "nmse": "sum of squared errors / sum of the reference's squares",
    "bias": "mean of candidate minus reference in the units of the images",
    "psnr_slices": "dB, the mean over slices of the PSNR of each; identical slices left out",
    "ssim_slices": "2D, as ssim with a window in the slices; the mean over all their voxels",
    "gradient_kept": "slope of the candidate's gradient (mm) on the reference's: 1 kept, below 1 blurred",
    "edges_kept": "correlation of the Laplacians (Sattar et al. 1997): 1 kept",
    "noise_candidate": "noise level of the candidate, as noise",
    "noise_reference": "noise level of the reference, as noise",
    "cnr_candidate": "|mean here - mean in the background label| / sqrt of their mean variance, in the candidate",
    "cnr_reference": "the same in the reference",
}
ALONE = {
    "mean": "mean in the units of the image",
    "sd": "standard deviation, structure and noise",
    "noise": "white noise's standard deviation: the median absolute second difference along both axes of the slices "
    "(Immerkaer 1996, Donoho 1994)",
    "snr": "mean / noise; means little for HU",
    "sharpness_in_slices": "1 - blur metric (Crete et al. 2007), mean of both axes of the slices; higher for noise too; whole image",
    "sharpness_across": "the same across the slices",
    "slice_correlation": "mean Pearson correlation of neighbouring slices",
    "slice_outlier": "how far the worst slice stands out: its mean absolute difference from the mean of its neighbours, in "
    "robust standard deviations over slices",
    "worst_slice": "the number of that slice, from 0",
    "cnr": "|mean here - mean in the background label| / sqrt of their mean variance",
}
SHARED = {
    "voxels": "number of voxels of the region",
    "data_range": "the range of values that psnr and ssim go by",
    "slice_axis": "0, 1 or 2: the axis across the slices",
    "region": "image: all voxels; mask: where the mask is not 0; label N: where the label map is N; tissue: where the "
    "reference and its face neighbours are in a window of HU (medgen.evaluation.regions.TISSUES); foreground: above Otsu's "
    "threshold",
}


def measure_pair(
    candidate: np.ndarray, reference: np.ndarray, data_range: float, regions: Mapping[str, np.ndarray | None],
    spacing: Sequence[float], slice_axis: int, background: np.ndarray | None = None,
) -> dict[str, Row]:  # fmt: skip
    """Return the numbers of `PAIRED` for each region.

    Args:
        candidate, reference: (X, Y, Z), of one unit.
        data_range: the range of values that images of this kind have.
        regions: true inside, by name; None is the whole image.
        spacing: voxel size in mm.
        slice_axis: the axis across the slices.
        background: where the other region of the contrast-to-noise ratios is, if they are wanted.
    """
    in_slices = [axis for axis in range(3) if axis != slice_axis]
    similar, similar_in_slices = (ssim_map(candidate, reference, data_range, axes) for axes in (None, in_slices))
    scales = scales_that_fit(reference.shape)
    rows: dict[str, Row] = {}
    for name, mask in regions.items():
        part = _box(mask) if mask is not None else (slice(None),) * 3
        mine, truth, inside = candidate[part], reference[part], None if mask is None else mask[part]
        whole = mask is None
        rows[name] = {
            "voxels": truth.size if inside is None else int(np.count_nonzero(inside)),
            "psnr": psnr(mine, truth, data_range, inside),
            "ssim": _mean(similar[middle(similar.shape)] if whole else similar[part], inside),
            "ms_ssim": ms_ssim(candidate, reference, data_range, scales) if whole and scales else None,
            "ms_ssim_scales": scales if whole else None,
            "mae": mae(mine, truth, inside),
            "rmse": rmse(mine, truth, inside),
            "nmse": _or_none(nmse, mine, truth, inside),
            "bias": bias(mine, truth, inside),
            "psnr_slices": psnr_slices(mine, truth, data_range, slice_axis, inside),
            "ssim_slices": _mean(
                similar_in_slices[middle(similar.shape, in_slices)] if whole else similar_in_slices[part], inside
            ),
            "gradient_kept": _or_none(gradient_kept, mine, truth, spacing, inside),
            "edges_kept": _or_none(edges_kept, mine, truth, inside),
            "noise_candidate": _or_none(noise_level, mine, slice_axis, inside),
            "noise_reference": _or_none(noise_level, truth, slice_axis, inside),
            **_contrast({"candidate": candidate, "reference": reference}, mask, background),
        }
    return rows


def measure_alone(
    image: np.ndarray, regions: Mapping[str, np.ndarray | None], slice_axis: int, background: np.ndarray | None = None
) -> dict[str, Row]:
    """Return the numbers of `ALONE` for each region; the arguments are those of `measure_pair`."""
    rows: dict[str, Row] = {}
    for name, mask in regions.items():
        part = _box(mask) if mask is not None else (slice(None),) * 3
        here, inside = image[part], None if mask is None else mask[part]
        values = here if inside is None else here[inside]
        noise = _or_none(noise_level, here, slice_axis, inside)
        sharp = _or_none(sharpness, image, slice_axis) if mask is None else None
        slices = _or_none(slice_consistency, here, slice_axis, inside)
        mean = float(values.mean(dtype=np.float64))
        rows[name] = {
            "voxels": values.size,
            "mean": mean,
            "sd": float(values.std(dtype=np.float64)),
            "noise": noise,
            "snr": mean / noise if noise else None,
            "sharpness_in_slices": sharp[0] if sharp else None,
            "sharpness_across": None if sharp is None or math.isnan(sharp[1]) else sharp[1],
            "slice_correlation": slices[0] if slices else None,
            "slice_outlier": slices[1] if slices else None,
            "worst_slice": slices[2] + (part[slice_axis].start or 0) if slices else None,
            **_contrast({"": image}, mask, background),
        }
    return rows


def _contrast(images: Mapping[str, np.ndarray], mask: np.ndarray | None, background: np.ndarray | None) -> Row:
    names = {f"cnr_{which}".rstrip("_"): image for which, image in images.items()}
    if mask is None or background is None or np.array_equal(mask, background):
        return dict.fromkeys(names)
    return {name: _or_none(contrast_to_noise, image, mask, background) for name, image in names.items()}


def _or_none(metric: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T | None:
    """Return what a metric gives, or None where it says that it is not defined here."""
    try:
        return metric(*arguments, **named)
    except ValueError:
        return None


def _mean(values: np.ndarray, inside: np.ndarray | None) -> float:
    return float((values if inside is None else values[inside]).mean(dtype=np.float64))


def _box(mask: np.ndarray) -> tuple[slice, slice, slice]:
    """Return the box of a mask and the two voxels around it that any metric looks at."""
    there = [np.flatnonzero(mask.any(axis=tuple(i for i in range(3) if i != axis))) for axis in range(3)]
    x, y, z = (slice(max(int(n[0]) - 2, 0), int(n[-1]) + 3) for n in there)
    return x, y, z
