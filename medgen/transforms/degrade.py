"""Damage with known truth: noise of MR and of low-dose CT. Functions on arrays, and the random transforms over them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform
from numpy.random import RandomState
from scipy.ndimage import gaussian_filter, zoom

WATER_ATTENUATION = 0.0206  #: 1/mm at 60 keV (NIST XCOM)


def gaussian_noise(image: np.ndarray, sigma: float | np.ndarray, rng: RandomState) -> np.ndarray:
    """Add white Gaussian noise of standard deviation `sigma` (image units, one number or a map)."""
    return (image + sigma * rng.standard_normal(image.shape)).astype(_real(image))


def rician_noise(image: np.ndarray, sigma: float | np.ndarray, rng: RandomState, blur: float = 0.0) -> np.ndarray:
    """Return the magnitude of `image` (>= 0) plus complex Gaussian noise: |image + n1 + i n2| (Gudbjartsson 1995).

    Args:
        sigma: standard deviation of each part, in image units; one number or a map of the image's shape.
        rng: source of the noise.
        blur: standard deviation in voxels of a Gaussian that correlates the noise, as k-space filters and
            interpolation do; the noise keeps its `sigma`.
    """
    parts = [rng.standard_normal(image.shape).astype(np.float32) for _ in range(2)]
    if blur > 0:
        parts = [gaussian_filter(part, blur) for part in parts]
        parts = [part / max(float(part.std()), 1e-12) for part in parts]
    return np.hypot(image + sigma * parts[0], sigma * parts[1]).astype(_real(image))


def _real(image: np.ndarray) -> np.dtype:
    """Return the image's dtype where it can hold noise, else float32."""
    return image.dtype if image.dtype.kind == "f" else np.dtype(np.float32)


def smooth_field(shape: Sequence[int], low: float, high: float, rng: RandomState, points: int = 4) -> np.ndarray:
    """Return a smooth random field in [low, high] of a 3D shape: a cubic spline through `points` knots an axis."""
    field = rng.uniform(low, high, (points,) * 3)
    for n in shape:  # each pass interpolates the first axis and moves it to the end
        field = np.tensordot(field, _spline_matrix(points, n), axes=(0, 0))
    return np.clip(field, low, high).astype(np.float32)


@lru_cache(maxsize=32)
def _spline_matrix(points: int, n: int) -> np.ndarray:
    """Return the (points, n) matrix that interpolates `points` knots at `n` places by a cubic spline."""
    return zoom(np.eye(points), (1, n / points), order=3, mode="nearest", grid_mode=True)


def projection_noise(
    volume: np.ndarray, spacing: float, rng: RandomState, views: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the noise in HU that photons and electronics leave in a CT, of one photon and one electron an element.

    Each slice is projected (parallel beam); noise of variance e^p, and of variance e^2p, is drawn for the line integrals p
    and reconstructed by filtered back-projection, which is linear: at I0 photons and s electrons the noise is
    first / sqrt(I0) + s second / I0 (Zabic et al., Med Phys 2013), correlated as reconstruction leaves it. scikit-image
    interpolates between detector elements, which smooths: the standard deviation is about two thirds of what the ramp
    filter alone would leave.

    Args:
        volume: HU, (X, Y, Z); slices lie along Z.
        spacing: in-plane voxel size in mm.
        rng: source of the noise.
        views: projection angles over 180 degrees; by default as many as the longer side has voxels.
    """
    from skimage.transform import iradon, radon

    side = max(volume.shape[:2])
    angles = np.linspace(0.0, 180.0, views or side, endpoint=False)
    pads = [((side - n) // 2, side - n - (side - n) // 2) for n in volume.shape[:2]]
    crop = tuple(slice(before, before + n) for (before, _), n in zip(pads, volume.shape))
    photons, electrons = (np.empty(volume.shape, dtype=np.float32) for _ in range(2))
    for z in range(volume.shape[2]):
        attenuation = np.clip(volume[..., z].astype(np.float64) / 1000.0 + 1.0, 0.0, None) * WATER_ATTENUATION
        line = radon(np.pad(attenuation, pads) * spacing, angles, circle=False)
        for out, deviation in ((photons, np.exp(line / 2)), (electrons, np.exp(line))):
            noise = iradon(rng.standard_normal(line.shape) * deviation, angles, output_size=side, circle=False)
            out[..., z] = noise[crop] / spacing / WATER_ATTENUATION * 1000.0
    return photons, electrons


def low_dose_ct_noise(
    volume: np.ndarray,
    spacing: float,
    photons: float,
    rng: RandomState,
    electronic: float = 5.0,
    views: int | None = None,
) -> np.ndarray:
    """Add the noise that a CT of fewer photons would have had, slice by slice; see `projection_noise`.

    Args:
        photons: I0, photons a detector element without a patient; 1e5 is a usual dose, 1e4 a tenth of it.
        electronic: standard deviation of the detector's noise, in photons.
    """
    first, second = projection_noise(volume, spacing, rng, views)
    return (volume + first / np.sqrt(photons) + electronic / photons * second).astype(np.float32)


class RandMRNoised(RandomizableTransform, MapTransform):
    """Rician noise of unknown level, gain and correlation, as magnitude MR has it; the image is damaged in place.

    With probability `prob` sigma is drawn log-uniformly from `sigma` (in units of the image); with `prob_field` it varies
    smoothly in space by up to `gain`, as after parallel imaging and intensity correction; with `prob_blur` the noise is
    correlated over up to `blur` voxels. Images are (1, X, Y, Z).
    """

    def __init__(
        self,
        keys: KeysCollection,
        prob: float = 0.95,
        sigma: tuple[float, float] = (0.005, 0.25),
        prob_field: float = 0.3,
        gain: float = 2.0,
        prob_blur: float = 0.15,
        blur: float = 0.7,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        self.sigma, self.prob_field, self.gain, self.prob_blur, self.blur = sigma, prob_field, gain, prob_blur, blur

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        self.randomize(None)
        if not self._do_transform:
            return out
        level = float(np.exp(self.R.uniform(np.log(self.sigma[0]), np.log(self.sigma[1]))))
        for key in self.key_iterator(out):
            image = out[key]
            sigma: float | np.ndarray = level
            if self.R.uniform() < self.prob_field:
                sigma = level * smooth_field(image.shape[1:], 1 / self.gain, self.gain, self.R)
            blur = self.R.uniform(0.3, self.blur) if self.R.uniform() < self.prob_blur else 0.0
            noisy = rician_noise(np.asarray(image[0], dtype=np.float32), sigma, self.R, blur)
            out[key] = torch.from_numpy(noisy)[None]
        return out
