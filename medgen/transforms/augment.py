"""The 3D augmentation recipe, out of MONAI's own transforms."""

from __future__ import annotations

import math
from collections.abc import Sequence

from monai.transforms import (
    Compose,
    Rand3DElasticd,
    RandAdjustContrastd,
    RandAffined,
    RandBiasFieldd,
    RandFlipd,
    RandGibbsNoised,
    RandHistogramShiftd,
    RandKSpaceSpikeNoised,
    RandSimulateLowResolutiond,
    Transform,
)


def augmentation(
    keys: Sequence[str], label_keys: Sequence[str] = (), strength: float = 1.0, prob: float = 0.3
) -> Compose:
    """Return the recipe for images in [0, 1] of shape (1, X, Y, Z), and label maps that follow their geometry.

    | transform | what it imitates | at strength 1 |
    |---|---|---|
    | flip | left and right | each axis, probability 0.5 |
    | affine | position and size | 15 degrees, 10 % scale, 5 % shear, 5 voxels |
    | elastic | anatomy | displacements of up to 4 voxels, smooth over 8 to 12 |
    | contrast | sequence parameters | gamma 0.7 to 1.5 |
    | histogram shift | other contrasts | 6 control points |
    | bias field | coil sensitivity | coefficients up to 0.3 |
    | Gibbs | truncated k-space | alpha up to 0.5 |
    | k-space spikes | electric discharge | log intensity 9 to 11 |
    | low resolution | thick slices | zoom down to 0.5 |

    Geometry is interpolated linearly in images and by the nearest voxel in label maps. Reproducible by
    ``augmentation(...).set_random_state(seed)``.

    Args:
        strength: 0 (nothing) to 1 scales every range above.
        prob: probability of each transform but the flips.

    Raises ValueError for a strength outside [0, 1].
    """
    if not 0.0 <= strength <= 1.0:
        raise ValueError(f"strength must lie in [0, 1], not {strength}")
    if strength == 0.0:
        return Compose([])
    s, images, every = strength, list(keys), [*keys, *label_keys]
    modes = ["bilinear"] * len(images) + ["nearest"] * len(label_keys)
    geometry: list[Transform] = [RandFlipd(every, prob=0.5, spatial_axis=axis) for axis in range(3)]
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
        Rand3DElasticd(
            every, sigma_range=(8, 12), magnitude_range=(0, 400 * s), prob=prob, mode=modes, padding_mode="zeros"
        ),
    ]
    intensity: list[Transform] = [
        RandAdjustContrastd(images, prob=prob, gamma=(1 - 0.3 * s, 1 + 0.5 * s)),
        RandHistogramShiftd(images, num_control_points=6, prob=prob * s),
        RandBiasFieldd(images, degree=3, coeff_range=(0.0, 0.3 * s), prob=prob),
        RandGibbsNoised(images, prob=prob, alpha=(0.0, 0.5 * s)),
        RandKSpaceSpikeNoised(images, prob=prob * s, intensity_range=(9.0, 11.0), channel_wise=False),
        RandSimulateLowResolutiond(images, prob=prob, zoom_range=(1 - 0.5 * s, 1.0)),
    ]
    return Compose([*geometry, *intensity])
