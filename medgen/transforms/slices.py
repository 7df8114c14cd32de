"""Thick slices and back: the slice profile as a matrix, its best linear inverse, and the transforms over them.

Along the slice axis an acquisition is one matrix A (slices x voxels): each slice is the average of the true image under
the slice profile. The image is brought to the fine grid by the Gaussian process posterior mean given all slices
(kriging), W = C A^T (A C A^T + noise)^-1 with a Matern-3/2 covariance C: it knows the profile, where cubic
interpolation takes slices for points, and gives the slices back when acquired again, A W y = y up to the noise.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, RandomizableTransform
from scipy.ndimage import gaussian_filter1d
from skimage.filters import threshold_otsu

from medgen.transforms.degrade import gaussian_noise, rician_noise
from medgen.transforms.intensity import lowest

LENGTHS = ((1.0, 3.0), (10.0, 30.0))  #: variance and correlation length in voxels of the image's parts: edges, and slopes
NOISE = 1e-3  #: variance of the slices' noise, of the image's variance


def slice_matrix(voxels: int, spacing: float, thickness: float, first: float, slices: int, profile: str = "gaussian") -> np.ndarray:
    """Return A, (slices, voxels): row i averages the voxels under the profile of the slice centred on first + i spacing.

    Args:
        voxels: voxels of the fine grid along the slice axis; lengths are in these voxels.
        spacing: distance between slice centres.
        thickness: full width at half maximum of the profile.
        first: place of the first centre.
        profile: "gaussian", as of most MR pulses, or "box", as of reformatted CT.
    """
    distance = np.arange(voxels)[None] - (first + spacing * np.arange(slices))[:, None]
    if profile == "gaussian":
        rows = np.exp(-4 * np.log(2) * (distance / max(thickness, 1e-3)) ** 2)
    elif profile == "box":
        rows = np.clip(max(thickness, 1.0) / 2 + 0.5 - np.abs(distance), 0.0, 1.0)
    else:
        raise ValueError(f"profile must be 'gaussian' or 'box', not {profile!r}")
    total = rows.sum(1, keepdims=True)
    nearest = np.abs(distance) == np.abs(distance).min(1, keepdims=True)
    return np.where(total > 1e-6, rows / np.maximum(total, 1e-6), nearest / nearest.sum(1, keepdims=True))


def kriging(matrix: np.ndarray, noise: float = NOISE) -> np.ndarray:
    """Return W, (voxels, slices): the posterior mean of the image given slices ``matrix @ image`` (see the module)."""
    place = np.sqrt(3) * np.arange(matrix.shape[1])
    distance = np.abs(np.subtract.outer(place, place))
    covariance = np.full(distance.shape, 1e3)  # an unknown level
    for variance, length in LENGTHS:
        covariance += variance * (1 + distance / length) * np.exp(-distance / length)
    spread = covariance @ matrix.T
    return np.linalg.solve(matrix @ spread + noise * np.eye(len(matrix)), spread.T).T


def acquisition(shape: tuple[int, ...], spacing: float, thickness: float, first: float) -> np.ndarray:
    """Return the channels (3, X, Y, Z) that tell a network how the slices along Z were acquired, each of order 1."""
    place = np.cos(2 * np.pi * (np.arange(shape[-1]) - first) / spacing)
    told = np.empty((3, *shape), dtype=np.float32)
    told[0], told[1], told[2] = spacing / 6, thickness / 6, place
    return told


class RandThickSlicesd(RandomizableTransform, MapTransform):
    """Acquire a sharp image (1, X, Y, Z) in thick slices along Z, and bring it back to its grid: (4, X, Y, Z).

    The slice spacing is drawn from `factor` (whole numbers in half of the cases), the ratio of thickness to it from
    `thickness`, the profile either where `profile` does not name one; a blur in the plane with `prob_blur`, Rician noise
    of the slices (or Gaussian, for images with values below 0) with `prob_noise`. The channels are those of `ThinSlicesd`.
    """

    def __init__(
        self,
        keys: KeysCollection,
        factor: tuple[float, float] = (1.5, 6.2),
        thickness: tuple[float, float] = (0.8, 1.2),
        prob_blur: float = 0.25,
        blur: float = 0.8,
        prob_noise: float = 0.5,
        sigma: tuple[float, float] = (0.004, 0.05),
        rician: bool = True,
        profile: str | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, 1.0)
        self.profile = profile
        self.factor, self.thickness, self.prob_blur, self.blur = factor, thickness, prob_blur, blur
        self.prob_noise, self.sigma, self.rician = prob_noise, sigma, rician

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        for key in self.key_iterator(out):
            image = np.asarray(out[key][0], dtype=np.float32)
            voxels = image.shape[-1]
            spacing = self.R.uniform(*self.factor)
            if self.R.uniform() < 0.5:
                spacing = max(2.0, float(round(spacing)))
            thickness = spacing * self.R.uniform(*self.thickness)
            first = self.R.uniform(0, spacing)
            slices = int((voxels - 1 - first) // spacing) + 1
            profile = self.profile or ("gaussian" if self.R.uniform() < 0.5 else "box")
            matrix = slice_matrix(voxels, spacing, thickness, first, slices, profile).astype(np.float32)
            if self.R.uniform() < self.prob_blur:
                width = self.R.uniform(0.3, self.blur)
                image = gaussian_filter1d(gaussian_filter1d(image, width, 0), width, 1)
            thick = image @ matrix.T
            if self.R.uniform() < self.prob_noise:
                sigma = float(np.exp(self.R.uniform(*np.log(self.sigma))))
                thick = (rician_noise if self.rician else gaussian_noise)(thick, sigma, self.R)
            fine = thick @ kriging(matrix).T.astype(np.float32)
            told = acquisition(image.shape, spacing, thickness, first)
            out[key] = torch.from_numpy(np.concatenate([fine[None], told]).astype(np.float32))
        return out


class ThinSlicesd(MapTransform):
    """Bring a scan (1, X, Y, Z) in thick slices to a fine grid along its slice axis: (4, x, y, n), slices along the last.

    The slice axis is the one of the largest spacing. The channels: the image by `kriging`, slice spacing, thickness and
    the place between slices, as `RandThickSlicesd` made them for training. ``{key}_slices`` keeps what `ConsistentSlicesd`
    needs to go back. The grid covers the field of view of the slices; in the plane nothing changes.

    Args:
        spacing: of the fine grid along the slice axis in mm; never finer than the plane's finest or a sixth of the slices',
            nor coarser than the slices'.
        thickness: of the slices in mm; by default what the header says ("slice_thickness" of the metadata), else their
            spacing.
        profile: see `slice_matrix`.
    """

    def __init__(
        self,
        keys: KeysCollection,
        spacing: float = 1.0,
        thickness: float | None = None,
        profile: str = "gaussian",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if not spacing > 0:
            raise ValueError(f"spacing must be above 0 mm, not {spacing}")
        self.spacing, self.thickness, self.profile = spacing, thickness, profile

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        for key in self.key_iterator(out):
            image = out[key]
            affine = np.asarray(image.affine, dtype=float)
            mm = np.linalg.norm(affine[:3, :3], axis=0)
            axis = 2 - int(np.argmax(mm[::-1]))
            goal = float(np.clip(max(self.spacing, mm.min()), mm[axis] / 6, mm[axis]))
            thick = np.moveaxis(np.asarray(image[0], dtype=np.float32), axis, -1)
            slices = thick.shape[-1]
            voxels = max(1, round(slices * mm[axis] / goal))
            step = mm[axis] / goal
            first = (voxels - 1 - step * (slices - 1)) / 2  # both grids have one centre
            thickness = (self.thickness or image.meta.get("slice_thickness") or mm[axis]) / goal
            matrix = slice_matrix(voxels, step, thickness, first, slices, self.profile).astype(np.float32)
            inverse = kriging(matrix).astype(np.float32)
            fine = thick @ inverse.T
            told = acquisition(fine.shape, step, thickness, first)
            moved = affine.copy()
            moved[:3, axis] /= step
            moved[:3, 3] -= first * moved[:3, axis]
            turned = torch.from_numpy(np.concatenate([fine[None], told]))
            result = MetaTensor(turned, meta=dict(image.meta))
            result.affine = torch.from_numpy(moved)
            result.applied_operations = image.applied_operations
            out[key] = result
            out[f"{key}_slices"] = {"axis": axis, "thick": thick, "matrix": matrix, "inverse": inverse, "affine": moved,
                                    "factor": step, "thickness": thickness * goal}  # fmt: skip
        return out


class ConsistentSlicesd(MapTransform):
    """Turn a sharp image (1, x, y, n) back to the scan's axes, made consistent: acquired again it gives the slices.

    `keys` are what the network made of ``source``, which `ThinSlicesd` prepared. The projection adds g W (y - A x), where g
    is the share of y - A x, of its variance in the body, that is not white noise (Wiener's gain): what the network took off
    the slices as noise stays off. The "report" of the data tells g, and how far A x was from y before and after, as a root
    mean square in per cent of the image's range of order 1.

    Args:
        project: whether to project; the distance is reported either way.
        keep_noise: project with g = 1, so that A x is y, noise and all.
    """

    def __init__(
        self, keys: KeysCollection, source: str = "image", project: bool = True, keep_noise: bool = False, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.source, self.project, self.keep_noise = source, project, keep_noise

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        told = {name: np.asarray(value) for name, value in out[f"{self.source}_slices"].items()}  # of a batch, tensors
        axis, factor, thickness = int(told["axis"]), float(told["factor"]), float(told["thickness"])
        for key in self.key_iterator(out):
            image = np.asarray(out[key][0], dtype=np.float32)
            missing = told["thick"] - image @ told["matrix"].T
            before = _rms(missing)
            gain = (1.0 if self.keep_noise else _signal(missing, told["thick"])) if self.project else 0.0
            if gain > 0:
                image = image + np.float32(gain) * missing @ told["inverse"].T
            if not (self.project and self.keep_noise):  # which gives the slices back to the last digit, rings and all
                image = image.clip(lowest(told["thick"]))
            after = _rms(told["thick"] - image @ told["matrix"].T)
            result = MetaTensor(torch.from_numpy(np.ascontiguousarray(np.moveaxis(image, -1, axis)))[None])
            result.affine = torch.from_numpy(told["affine"])
            result.applied_operations = out[self.source].applied_operations
            out[key] = result
            out["report"] = {
                "slice_axis": axis, "factor": round(factor, 3), "slice_thickness_mm": round(thickness, 3),
                "data_consistency_percent": {"network": round(100 * before, 3), "written": round(100 * after, 3)},
                "projected": round(gain, 3),
            }  # fmt: skip
        return out


def _signal(missing: np.ndarray, thick: np.ndarray) -> float:
    """Return the share of the variance of `missing`, in the body that the slices `thick` show, that is not white noise.

    The noise is what the second difference along both axes of the slices leaves, by its median (Immerkaer 1996).
    """
    if min(missing.shape[:2]) < 3 or np.ptp(thick) == 0:
        return 1.0
    body = (thick > threshold_otsu(thick))[1:-1, 1:-1]
    left = np.diff(np.diff(missing, n=2, axis=0), n=2, axis=1)[body]
    noise = np.median(np.abs(left)) / (6 * 0.6745)  # 6 of white noise of 1; the median of a normal distribution
    return float(np.clip(1 - (noise / max(_rms(missing[1:-1, 1:-1][body]), 1e-12)) ** 2, 0, 1))


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
