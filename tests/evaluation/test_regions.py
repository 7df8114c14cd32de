from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.random import RandomState

from medgen.evaluation.image_quality import bias
from medgen.evaluation.regions import TISSUES, contrast_to_noise, tissues


def body() -> tuple[np.ndarray, dict[str, tuple[slice, ...]]]:
    """Return layers of tissue, each 6 voxels thick, in HU."""
    levels = {"air": -1000, "lung": -850, "fat": -95, "soft tissue": 40, "bone": 900}
    image = np.concatenate([np.full((6, 8, 8), value, np.int16) for value in levels.values()])
    return image, {name: (slice(6 * i, 6 * i + 6),) for i, name in enumerate(levels)}


def test_tissues_are_found_without_their_rims() -> None:
    image, places = body()
    found = tissues(image)
    assert set(found) == set(TISSUES)
    for name, inside in found.items():
        assert inside[places[name]].sum() == inside.sum()  # nowhere else
        expected = 4 if name in ("lung", "fat", "soft tissue") else 5  # the ends have one neighbour less
        assert inside.sum() == expected * 64


def test_the_bias_of_one_tissue_is_its_own() -> None:
    image, places = body()
    changed = image.astype(float)
    changed[places["fat"]] += 12
    for name, inside in tissues(image).items():
        assert bias(changed, image, inside) == (12 if name == "fat" else 0)


def test_a_tissue_that_is_not_there_is_left_out() -> None:
    assert set(tissues(np.full((4, 4, 4), 40))) == {"soft tissue"}
    assert tissues(np.full((4, 4, 4), 180)) == {}


def test_contrast_to_noise_is_that_of_the_distributions() -> None:
    random = RandomState(0)
    image = np.concatenate([random.normal(100, 3, (40, 40, 40)), random.normal(70, 4, (40, 40, 40))])
    region = np.zeros(image.shape, bool)
    region[:40] = True
    expected = 30 / math.sqrt((9 + 16) / 2)
    assert contrast_to_noise(image, region, ~region) == pytest.approx(expected, rel=0.01)
    assert contrast_to_noise(5 * image + 7, ~region, region) == pytest.approx(contrast_to_noise(image, region, ~region))


def test_flat_regions_have_no_noise() -> None:
    image = np.zeros((4, 4, 4))
    image[:2] = 1
    assert contrast_to_noise(image, image > 0, image == 0) == math.inf
    with pytest.raises(ValueError, match="neither contrast nor noise"):
        contrast_to_noise(np.zeros((4, 4, 4)), image > 0, image == 0)
    with pytest.raises(ValueError, match="at least 2 voxels"):
        contrast_to_noise(image, image > 5, image == 0)
