from __future__ import annotations

import numpy as np
import pytest
from numpy.random import RandomState

from medgen.evaluation.changes import beyond, change_map

SHAPE = (40, 40, 40)


def noise(sigma: float) -> np.ndarray:
    return sigma * RandomState(0).standard_normal(SHAPE)


@pytest.mark.parametrize("width", [0, 0.7, 1.0, 2.0])
def test_noise_taken_away_is_one_standard_deviation(width: float) -> None:
    clean = np.full((72, 72, 72), 100.0)
    noisy = clean + 5 * RandomState(1).standard_normal(clean.shape)
    changes = change_map(noisy, clean, 5, width)
    inner = changes[8:-8, 8:-8, 8:-8]
    assert inner.std() == pytest.approx(1, rel=0.1 if width == 2 else 0.03)
    assert width == 0 or changes[:, :, 0].std() < 0.97  # a border has less
    found, expected = beyond(inner, 2)
    assert expected == pytest.approx(0.0455, abs=1e-4) and found == pytest.approx(expected, rel=0.25)


def test_a_faded_lesion_stands_out_where_single_voxels_would_not() -> None:
    """A cube of 8 voxels a side that lost 2 of its noise's standard deviations."""
    before = 100 + noise(5)
    after = np.full(SHAPE, 100.0)
    after[10:18, 10:18, 10:18] -= 10
    middle = (slice(12, 16),) * 3
    assert np.median(change_map(before, after, 5, 0)[middle]) == pytest.approx(-2, abs=0.4)
    smooth = change_map(before, after, 5, 1.0)
    assert np.median(smooth[middle]) < -10
    lesion = np.zeros(SHAPE, bool)
    lesion[middle] = True
    assert beyond(smooth, 4, lesion)[0] == 1
    outside = np.ones(SHAPE, bool)
    outside[5:23, 5:23, 5:23] = False
    assert beyond(smooth, 4, outside)[0] < 1e-3


def test_nothing_changed_is_zero_and_the_sign_is_that_of_the_change() -> None:
    image = noise(1)
    assert not change_map(image, image, 1).any()
    assert (change_map(image, image + 3, 1) > 0).all()


def test_noise_may_differ_from_voxel_to_voxel() -> None:
    sigma = np.full(SHAPE, 2.0)
    sigma[20:] = 8
    before = noise(1) * sigma
    changes = change_map(before, np.zeros(SHAPE), sigma, 0)
    assert changes[:20].std() == pytest.approx(1, rel=0.03) == changes[20:].std()


def test_wrong_use_is_refused() -> None:
    with pytest.raises(ValueError, match="noise level"):
        change_map(noise(1), noise(1), 0)
    with pytest.raises(ValueError, match="shape"):
        change_map(noise(1), noise(1)[1:], 1)
