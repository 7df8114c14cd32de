"""The 3D augmentation recipe: MONAI's own transforms, four of them mended."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import (
    Compose,
    KSpaceSpikeNoise,
    MapTransform,
    RandAdjustContrastd,
    RandAffined,
    RandBiasFieldd,
    RandFlipd,
    RandGibbsNoised,
    RandHistogramShiftd,
    RandomizableTransform,
    RandSimulateLowResolutiond,
    Resample,
    Transform,
)
from monai.transforms.utils import create_grid
from monai.utils import ensure_tuple, ensure_tuple_rep

from medgen.transforms.degrade import smooth_field


def augmentation(
    keys: KeysCollection,
    label_keys: KeysCollection = (),
    strength: float = 1.0,
    prob: float = 0.3,
    flip_axes: Sequence[int] = (0, 1, 2),
) -> Compose:
    """Return the recipe for images (1, X, Y, Z), and label maps that follow their geometry.

    Images are normalised: air 0, the robust maximum 1. What is drawn for a case is shared by all its images.

    | transform | imitates | at strength 1 |
    |---|---|---|
    | flip | the other side | each axis, probability 0.5 |
    | affine | position, size | up to 15 degrees, 10 % scale, 5 % shear, 5 voxels, on each axis; zeros come in |
    | elastic | anatomy | displacements of up to 4 voxels, smooth over a quarter of the image |
    | contrast | sequence parameters | gamma 0.7 to 1.5 between the image's minimum and maximum |
    | histogram shift | other contrasts | rising curve through 6 points, slope at least 0.3 |
    | bias field | coil sensitivity | exp of a polynomial of degree 3, coefficients within 0.3 |
    | low resolution | a coarser grid | zoom 0.5 to 1 of every axis, and back |
    | Gibbs | truncated k-space | only the sphere of 0.42 to 1.41 times the longest axis' Nyquist stays (alpha 0.7 to 0) |
    | k-space spike | electric discharge | one wave of amplitude 0.02 to 0.08 |

    Images are interpolated linearly, label maps by the nearest voxel; both come back as float32 of the same shape.
    Gibbs and spike leave small negative values. Reproducible by ``augmentation(...).set_random_state(seed)``.

    Args:
        strength: 0 (nothing) to 1; scales every range above, not the flips.
        prob: probability of each transform but the flips.
        flip_axes: axes that may be flipped; none where labels tell left from right.

    Raises ValueError for a strength or a probability outside [0, 1].
    """
    for name, value in (("strength", strength), ("prob", prob)):
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"{name} must lie in [0, 1], not {value}")
    if strength == 0.0:
        return Compose([])
    s, images, labels = strength, ensure_tuple(keys), ensure_tuple(label_keys)
    every, modes = (*images, *labels), ("bilinear",) * len(images) + ("nearest",) * len(labels)
    geometry: list[Transform] = [RandFlipd(every, prob=0.5, spatial_axis=axis) for axis in flip_axes]
    geometry += [
        RandAffined(
            every,
            prob=prob,
            rotate_range=[math.radians(15 * s)] * 3,
            scale_range=[0.1 * s] * 3,
            shear_range=[0.05 * s] * 6,
            translate_range=[5 * s] * 3,
            mode=modes,
            padding_mode="zeros",
        ),
        RandElasticd(every, prob=prob, displacement=4 * s, mode=modes),
    ]
    intensity: list[Transform] = [
        RandAdjustContrastd(images, prob=prob, gamma=(1 - 0.3 * s, 1 + 0.5 * s)),
        RandContrastCurved(images, prob=prob, weight=0.7 * s),
        # MONAI's range (0, c) is one-sided: the last corner would always be the brightest, by up to exp(20 c)
        RandBiasFieldd(images, prob=prob, degree=3, coeff_range=(-0.3 * s, 0.3 * s)),
        RandLowResolutiond(images, prob=prob, zoom_range=(1 - 0.5 * s, 1.0)),
        RandGibbsNoised(images, prob=prob, alpha=(0.0, 0.7 * s)),
        RandSpiked(images, prob=prob, amplitude=(0.02 * s, 0.08 * s)),
    ]
    return Compose([*geometry, *intensity])


class RandElasticd(RandomizableTransform, MapTransform):
    """Deform all keys (C, X, Y, Z) by one smooth random field of up to `displacement` voxels along each axis.

    The field is a cubic spline through 4x4x4 knots; its size is held under a quarter of their distance, so that nothing
    folds. (`Rand3DElasticd` smooths white noise over every voxel instead: 5 s for 120x120x90 on one core, here 0.1 s, and
    its magnitude is no length.)
    """

    knots = 4

    def __init__(
        self,
        keys: KeysCollection,
        prob: float = 0.1,
        displacement: float = 4.0,
        mode: str | Sequence[str] = "bilinear",
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        self.displacement = displacement
        self.mode = ensure_tuple_rep(mode, len(self.keys))
        self.resample = Resample(padding_mode="zeros")

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        self.randomize(None)
        if not self._do_transform:
            return out
        shape = out[self.first_key(out)].shape[1:]
        limit = min(self.displacement, min(shape) / self.knots / 4)
        grid = torch.as_tensor(create_grid(shape, backend="torch"))
        for axis in range(3):
            grid[axis] += torch.from_numpy(smooth_field(shape, -limit, limit, self.R, self.knots))
        for key, mode in self.key_iterator(out, self.mode):
            if out[key].shape[1:] != shape:
                raise ValueError(f"{key!r} has shape {tuple(out[key].shape[1:])}, the first key {tuple(shape)}")
            out[key] = self.resample(out[key], grid, mode=mode)
        return out


class RandContrastCurved(RandHistogramShiftd):
    """`RandHistogramShiftd` whose curve is blended with the identity: `weight` of it and 1 - `weight` of the image.

    MONAI's curve alone may be flat over much of its range, and whole tissues disappear; this one rises by 1 - `weight`
    at least.
    """

    def __init__(self, keys: KeysCollection, prob: float = 0.1, weight: float = 0.7) -> None:
        super().__init__(keys, num_control_points=6, prob=prob)
        self.weight = weight

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        self.randomize(None)
        if self._do_transform:
            self.shifter.randomize(None)
            identity, curve = self.shifter.reference_control_points, self.shifter.floating_control_points
            self.shifter.floating_control_points = (1 - self.weight) * identity + self.weight * curve
            for key in self.key_iterator(out):
                out[key] = self.shifter(out[key], randomize=False)
        return out


class RandLowResolutiond(RandSimulateLowResolutiond):
    """`RandSimulateLowResolutiond` with one zoom for all keys, and averaging on the way down.

    MONAI draws another zoom for each key; its downsampling by the nearest voxel aliases and shifts the image by up to
    half a voxel against its label map.
    """

    def __init__(self, keys: KeysCollection, prob: float = 0.1, zoom_range: tuple[float, float] = (0.5, 1.0)) -> None:
        super().__init__(keys, prob=prob, downsample_mode="area", zoom_range=zoom_range)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        self.randomize(None)
        if self._do_transform:
            self.sim_lowres_tfm.randomize()
            for key in self.key_iterator(out):
                out[key] = self.sim_lowres_tfm(out[key], randomize=False)
        return out


class RandSpiked(RandomizableTransform, MapTransform):
    """Set one random point of k-space so high that a wave of `amplitude` (image units) lies over all keys (C, X, Y, Z).

    `RandKSpaceSpikeNoised` wants the log of the absolute value in k-space, which grows with the number of voxels: one
    range that is mild in 96 cubed is invisible in a whole head and swamps a patch.
    """

    def __init__(
        self,
        keys: KeysCollection,
        prob: float = 0.1,
        amplitude: tuple[float, float] = (0.02, 0.08),
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        if not 0.0 < amplitude[0] <= amplitude[1]:
            raise ValueError(f"amplitude must be (low, high) with 0 < low <= high, not {tuple(amplitude)}")
        self.amplitude = amplitude

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        self.randomize(None)
        if not self._do_transform:
            return out
        shape = out[self.first_key(out)].shape[1:]
        place = tuple(int(self.R.randint(n)) for n in shape)
        # one point, without its conjugate: the real part of the inverse transform is amplitude * cos
        height = math.log(self.R.uniform(*self.amplitude) * math.prod(shape))
        for key in self.key_iterator(out):
            out[key] = KSpaceSpikeNoise(place, height)(out[key])
        return out
