from __future__ import annotations

import numpy as np
import torch
from monai.data import MetaTensor

from medgen.transforms.degrade import low_dose_ct_noise, projection_noise
from medgen.transforms.low_dose import ProjectionNoised, RandLowDosed


def water(side: int = 64, slices: int = 3, mm: float = 3.0) -> MetaTensor:
    x, y = np.ogrid[:side, :side]
    disc = np.where((x - side / 2) ** 2 + (y - side / 2) ** 2 < (0.4 * side) ** 2, 0.0, -1000.0)
    affine = torch.diag(torch.tensor([mm, mm, 5.0, 1.0], dtype=torch.float64))
    return MetaTensor(torch.from_numpy(np.repeat(disc[..., None], slices, 2)).float()[None], affine=affine)


def test_the_kept_noise_scales_to_any_dose() -> None:
    image = water()
    data = ProjectionNoised("image")({"image": image})
    assert data["noise"].shape == (2, 64, 64, 3) and data["noise"].dtype == torch.float16
    centre = (0, slice(24, 40), slice(24, 40))
    levels = []
    for photons in (1e4, 4e4):
        noisy = RandLowDosed("image", prob=1.0, photons=(photons, photons), electronic=(0.0, 0.0))(dict(data))["image"]
        levels.append(float((noisy - image)[centre].std()))
    np.testing.assert_allclose(levels[0] / levels[1], 2, rtol=1e-3)
    whole = low_dose_ct_noise(np.asarray(image[0]), 3.0, 1e4, np.random.RandomState(1), electronic=0.0)
    np.testing.assert_allclose(levels[0], (whole - np.asarray(image[0]))[centre[1:]].std(), rtol=0.25)


def test_electrons_matter_where_few_photons_arrive() -> None:
    photons, electrons = projection_noise(np.asarray(water()[0]), 3.0, np.random.RandomState(0))
    centre, edge = (slice(24, 40),) * 2, (slice(8, 14), slice(28, 36))
    assert electrons[centre].std() / electrons[edge].std() > photons[centre].std() / photons[edge].std()


def test_some_crops_are_left_alone_and_seeds_repeat() -> None:
    data = ProjectionNoised("image")({"image": water()})
    assert torch.equal(RandLowDosed("image", prob=0.0)(dict(data))["image"], data["image"])
    one, two = (RandLowDosed("image", prob=1.0).set_random_state(3)(dict(data))["image"] for _ in range(2))
    assert torch.equal(one, two) and not torch.equal(one, data["image"])
