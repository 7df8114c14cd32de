"""Holes: masks of what is missing, drawn at random for training or placed for a test, and the input of a repair."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable
from numpy.random import RandomState

from medgen.transforms.degrade import gaussian_noise, smooth_field
from medgen.transforms.fill import smooth_fill

Shape = tuple[int, ...]


def slab(shape: Shape, axis: int, start: int, slices: int) -> np.ndarray:
    """Return the mask of `slices` whole slices across `axis` from `start` on."""
    hole = np.zeros(shape, dtype=bool)
    hole[tuple(slice(max(start, 0), start + slices) if a == axis else slice(None) for a in range(3))] = True
    return hole


def blob(
    shape: Shape, centre: Sequence[float], diameter: float, spacing: Sequence[float] = (1.0, 1.0, 1.0), rng: RandomState | None = None
) -> np.ndarray:
    """Return the mask of a ball; with `rng` a warped one, as lesions are.

    Args:
        centre: in voxels.
        diameter: in the units of `spacing`; of a warped ball, the mean.
        spacing: voxel size along each axis.
    """
    hole = np.zeros(shape, dtype=bool)
    reach = [0.75 * diameter / mm for mm in spacing]
    box = tuple(slice(max(int(c - r), 0), min(int(c + r) + 2, n)) for c, r, n in zip(centre, reach, shape))
    axes = np.ogrid[box]
    if any(a.size == 0 for a in axes):
        return hole
    x, y, z = (((a - c) * mm).astype(np.float32) for a, c, mm in zip(axes, centre, spacing))
    squared = x**2 + y**2 + z**2
    radius: float | np.ndarray = diameter / 2
    if rng is not None:
        radius = radius * smooth_field(squared.shape, 0.55, 1.45, rng)
    hole[box] = squared <= np.square(radius)
    return hole


def cuboid(shape: Shape, centre: Sequence[float], sides: Sequence[float]) -> np.ndarray:
    """Return the mask of a box, in voxels."""
    hole = np.zeros(shape, dtype=bool)
    hole[tuple(slice(max(round(c - s / 2), 0), max(round(c + s / 2), 1)) for c, s in zip(centre, sides))] = True
    return hole


def random_hole(image: np.ndarray, rng: RandomState, spacing: Sequence[float] = (1.0, 1.0, 1.0)) -> np.ndarray:
    """Return the mask of one kind of damage, drawn for `image` (X, Y, Z), most of it where there is something to see.

    Slabs of 1 to 5 slices (half of the draws), warped and round blobs, boxes, a cut field of view, scattered voxels and
    lines. There are as many as leave each other some context, a fifth to a third of the image: a training step learns only
    from what is in a hole.
    """
    shape = image.shape
    kind = rng.uniform()
    if kind < 0.5:
        return _slabs(shape, rng)
    if kind < 0.88:
        return _blobs(image, rng, spacing)
    if kind < 0.94:
        axis = int(rng.randint(3))
        n = int(rng.randint(2, max(3, shape[axis] // 4)))
        return slab(shape, axis, 0 if rng.uniform() < 0.5 else shape[axis] - n, n)
    return _scattered(shape, rng)


def _slabs(shape: Shape, rng: RandomState) -> np.ndarray:
    hole = np.zeros(shape, dtype=bool)
    axis = int(rng.randint(3))
    at = int(rng.randint(1, 6))
    while at < shape[axis] - 1:
        slices = int(rng.choice([1, 1, 2, 3, 4, 5]))
        hole |= slab(shape, axis, at, slices)
        at += slices + int(rng.randint(3, 6 + slices))
    return hole


def _blobs(image: np.ndarray, rng: RandomState, spacing: Sequence[float]) -> np.ndarray:
    hole = np.zeros(image.shape, dtype=bool)
    least = min(spacing)
    largest = 0.7 * min(n * mm for n, mm in zip(image.shape, spacing))
    diameter = float(np.exp(rng.uniform(np.log(4 * least), np.log(max(largest, 5 * least)))))
    for _ in range(120):
        centre = _somewhere(image, rng)
        if rng.uniform() < 0.15:
            one = cuboid(image.shape, centre, [diameter / mm * rng.uniform(0.5, 1.1) for mm in spacing])
        else:
            one = blob(image.shape, centre, diameter, spacing, rng if rng.uniform() < 0.6 else None)
        if (hole & blob(image.shape, centre, 1.1 * diameter + 3 * least, spacing)).any():
            diameter = max(4 * least, 0.85 * diameter)  # no room left for one of this size
            continue
        hole |= one
        if hole.mean() > 0.2:
            break
    return hole


def _scattered(shape: Shape, rng: RandomState) -> np.ndarray:
    """Return dropout: voxels, or lines of one voxel across the image."""
    if rng.uniform() < 0.5:
        return rng.uniform(size=shape) < rng.uniform(0.05, 0.4)
    axis = int(rng.randint(3))
    across = rng.uniform(size=tuple(n for a, n in enumerate(shape) if a != axis)) < rng.uniform(0.03, 0.3)
    return np.broadcast_to(np.expand_dims(across, axis), shape).copy()


def _somewhere(image: np.ndarray, rng: RandomState, tries: int = 8) -> list[int]:
    """Return a voxel, of something bright if one is found."""
    threshold = 0.3 * float(image.max())
    for _ in range(tries):
        place = [int(rng.randint(n)) for n in image.shape]
        if image[tuple(place)] > threshold:
            break
    return place


def hole_input(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Return what a repair network sees, (2, X, Y, Z): the image with a smooth fill in its hole, and the mask.

    The fill bends by voxels, not by millimetres: a thick slice is as blurred along its normal as the plane is finer, and a
    fill by millimetres would smooth missing thick slices within the plane (2 dB lost on CT).
    """
    return np.stack([smooth_fill(image, hole), hole.astype(np.float32)])


class RandHolesd(Randomizable, MapTransform):
    """Make holes in an image (1, X, Y, Z), as `random_hole` draws them.

    The image becomes the network's input (2, X, Y, Z), see `hole_input`; `label` gets the true image and the mask. With
    `prob_noise` the image around the hole (not the truth) is noisier by a sigma of up to `sigma`, in its units.

    Args:
        spacing: voxel size along each axis of the crops; only ratios count.
    """

    def __init__(
        self,
        keys: KeysCollection,
        label: str = "label",
        spacing: Sequence[float] = (1.0, 1.0, 1.0),
        prob_noise: float = 0.0,
        sigma: float = 0.04,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.label, self.spacing, self.prob_noise, self.sigma = label, tuple(spacing), prob_noise, sigma

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        for key in self.key_iterator(out):
            image = np.asarray(out[key][0], dtype=np.float32)
            hole = random_hole(image, self.R, self.spacing)
            out[self.label] = torch.from_numpy(np.stack([image, hole.astype(np.float32)]))
            if self.R.uniform() < self.prob_noise:
                image = gaussian_noise(image, self.R.uniform(0, self.sigma), self.R)
            out[key] = torch.from_numpy(hole_input(image, hole))
        return out
