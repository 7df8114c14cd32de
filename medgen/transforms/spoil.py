"""Faults of single slices with known truth, as scanners leave them, and voids as metal does."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform
from numpy.random import RandomState

from medgen.transforms.degrade import rician_noise
from medgen.transforms.holes import blob

Fault = Callable[[np.ndarray, RandomState], np.ndarray]


def dropout(plane: np.ndarray, rng: RandomState) -> np.ndarray:
    """Lose most of the signal, as with motion during a diffusion shot or a lost package."""
    return plane * rng.uniform(0.0, 0.35)


def brightness(plane: np.ndarray, rng: RandomState) -> np.ndarray:
    """Scale the slice by 0.5 to 0.8 or 1.25 to 1.8, as crosstalk or a gain that jumps does."""
    return plane * (rng.uniform(0.5, 0.8) if rng.uniform() < 0.5 else rng.uniform(1.25, 1.8))


def zipper(plane: np.ndarray, rng: RandomState) -> np.ndarray:
    """Add one to three lines of alternating signal across the slice: interference at one frequency."""
    out = plane.copy()
    lines = out if rng.uniform() < 0.5 else out.T
    top = float(plane.max())
    for _ in range(rng.randint(1, 4)):
        at, width = int(rng.randint(lines.shape[0])), int(rng.randint(1, 3))
        lines[at : at + width] += top * rng.uniform(0.4, 1.0) * rng.uniform(0.0, 1.0, lines.shape[1])
    return out


def spike(plane: np.ndarray, rng: RandomState) -> np.ndarray:
    """Add a wave across the slice, 10 to 40 % of its maximum: one spoiled sample of k-space (herringbone)."""
    waves = [rng.uniform(4, n / 2.5) * (1 if rng.uniform() < 0.5 else -1) / n for n in plane.shape]
    x, y = np.ogrid[: plane.shape[0], : plane.shape[1]]
    wave = np.cos(2 * np.pi * (waves[0] * x + waves[1] * y) + rng.uniform(0, 2 * np.pi))
    return np.abs(plane + rng.uniform(0.1, 0.4) * plane.max() * wave)


def noise(plane: np.ndarray, rng: RandomState) -> np.ndarray:
    """Add Rician noise of 10 to 30 % of the slice's maximum."""
    return rician_noise(plane, rng.uniform(0.1, 0.3) * float(plane.max()), rng)


def motion(plane: np.ndarray, rng: RandomState) -> np.ndarray:
    """Shift the object by 3 to 10 voxels for a part of the k-space lines: ghosts and blur along the phase axis."""
    lines = plane if rng.uniform() < 0.5 else plane.T
    spectrum = np.fft.fft(lines, axis=0)
    frequency = np.fft.fftfreq(lines.shape[0])[:, None]
    moved = rng.uniform(size=lines.shape[0]) < rng.uniform(0.25, 0.5)
    shift = rng.uniform(3, 10) * (1 if rng.uniform() < 0.5 else -1)
    spectrum[moved] *= np.exp(-2j * np.pi * frequency * shift)[moved]
    ghosted = np.abs(np.fft.ifft(spectrum, axis=0))
    return ghosted if lines is plane else ghosted.T


FAULTS: dict[str, Fault] = {f.__name__: f for f in (dropout, brightness, zipper, spike, noise, motion)}


def spoil(image: np.ndarray, axis: int, slices: Sequence[int], fault: str, rng: RandomState) -> np.ndarray:
    """Return `image` (X, Y, Z) with a fault of `FAULTS` in each of `slices` across `axis`."""
    if fault not in FAULTS:
        raise ValueError(f"fault must be one of {', '.join(FAULTS)}, not {fault!r}")
    out = np.array(image, dtype=np.float32)
    planes = np.moveaxis(out, axis, 0)
    for at in slices:
        planes[at] = FAULTS[fault](planes[at], rng)
    return out


def void(image: np.ndarray, centre: Sequence[float], diameter: float, spacing: Sequence[float], rng: RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Return `image` with a metal-like void, black with a bright rim, and the mask of what it spoiled."""
    core = blob(image.shape, centre, diameter, spacing, rng)
    rim = blob(image.shape, centre, 1.4 * diameter, spacing) | core
    return np.where(core, image.min(), np.where(rim, image * 0.5 + 0.9 * image.max(), image)).astype(np.float32), rim


class RandSpoilSlicesd(RandomizableTransform, MapTransform):
    """Spoil slices of an image (1, X, Y, Z) with probability `prob`; `mask` gets their mask, (1, X, Y, Z).

    Args:
        faults: names of `FAULTS` to draw from; all by default.
        most: spoiled slices an image; they never touch each other.
        axis: across which slices lie; any by default.
    """

    def __init__(
        self,
        keys: KeysCollection,
        mask: str = "mask",
        prob: float = 1.0,
        faults: Sequence[str] = tuple(FAULTS),
        most: int = 3,
        axis: int | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        self.mask, self.faults, self.most, self.axis = mask, tuple(faults), most, axis

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        self.randomize(None)
        for key in self.key_iterator(out):
            image = np.asarray(out[key][0], dtype=np.float32)
            mask = np.zeros(image.shape, dtype=np.float32)
            if self._do_transform:
                axis = int(self.R.randint(3)) if self.axis is None else self.axis
                n = image.shape[axis]
                count = int(self.R.randint(1, max(2, min(self.most, n // 8) + 1)))
                for at in self.R.choice(np.arange(n // 8, n - n // 8, 2), count, replace=False):
                    image = spoil(image, axis, [int(at)], self.faults[self.R.randint(len(self.faults))], self.R)
                    np.moveaxis(mask, axis, 0)[at] = 1
            out[key], out[self.mask] = torch.from_numpy(image)[None], torch.from_numpy(mask)[None]
        return out
