from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.random import RandomState
from scipy.ndimage import gaussian_filter

from medgen.evaluation.lesions import kept, lesion, separate

SPACING = (1.0, 1.0, 2.0)
SHAPE = (50, 50, 25)


def ball(radius: float, centre: tuple[float, float, float] = (25, 25, 24)) -> np.ndarray:
    """Return a ball; radius and centre in mm."""
    grid = np.indices(SHAPE) * np.reshape(SPACING, (3, 1, 1, 1))
    return np.square(grid - np.reshape(centre, (3, 1, 1, 1))).sum(0) <= radius**2


def image(mask: np.ndarray, contrast: float = 60, noise: float = 0) -> np.ndarray:
    return 200 + contrast * mask + noise * RandomState(0).standard_normal(SHAPE)


def test_a_ball_is_measured_as_it_is() -> None:
    mask = ball(8)
    found = lesion(image(mask), mask, SPACING)
    assert found.contrast == 60 and found.contrast_to_noise == math.inf
    assert found.volume == mask.sum() * 2  # voxels of 2 mm^3
    assert found.volume == pytest.approx(4 / 3 * math.pi * 8**3, rel=0.05)
    assert found.centre == pytest.approx((25, 25, 24))


@pytest.mark.parametrize("contrast", [60, -60])
def test_the_rule_finds_the_lesion_from_a_mask_too_small_or_shifted(contrast: float) -> None:
    truth = ball(8)
    for mask in (ball(6.5), ball(7, (26, 25, 24))):
        found = lesion(image(truth, contrast), mask, SPACING)
        assert found.contrast == contrast and found.volume == truth.sum() * 2


def test_what_does_not_hang_together_with_the_lesion_is_not_of_it() -> None:
    mask = ball(5)
    other = ball(2, (25, 34, 24))  # a vessel in the surroundings
    assert lesion(image(mask) + 60 * other, mask, SPACING).volume == mask.sum() * 2


def test_contrast_to_noise() -> None:
    mask = ball(8)
    found = lesion(image(mask, 60, 10), mask, SPACING)
    assert found.contrast == pytest.approx(60, abs=2) and found.contrast_to_noise == pytest.approx(6, rel=0.1)


def test_nothing_changed_is_all_kept() -> None:
    mask = ball(8)
    same = kept(image(mask), image(mask), mask, SPACING)
    assert (same.contrast_kept, same.volume_kept, same.moved, same.dice) == (1, 1, 0, 1)
    assert same.mask_volume == mask.sum() * 2


def test_a_faded_lesion_keeps_volume_and_place() -> None:
    mask = ball(8)
    faded = kept(image(mask), image(mask, 15), mask, SPACING)
    assert (faded.contrast_kept, faded.volume_kept, faded.moved, faded.dice) == (0.25, 1, 0, 1)


def test_a_lesion_that_grew_and_one_that_shrank() -> None:
    mask = ball(8)
    for radius in (7, 9.5):
        changed = kept(image(mask), image(ball(radius)), mask, SPACING)
        assert changed.volume_kept == ball(radius).sum() / mask.sum()
        assert changed.contrast_kept == 1


def test_a_lesion_that_moved_has_its_distance() -> None:
    mask = ball(8)
    moved = kept(image(mask), image(ball(8, (27, 25, 26))), mask, SPACING)
    assert moved.moved == pytest.approx(math.sqrt(8)) and moved.volume_kept == pytest.approx(1, abs=0.02)
    assert 0.6 < moved.dice < 0.9


def test_a_lesion_that_is_gone() -> None:
    mask = ball(8)
    gone = kept(image(mask), image(mask, 0), mask, SPACING)
    assert (gone.contrast_kept, gone.volume_kept, gone.dice) == (0, 0, 0) and math.isnan(gone.moved)
    inverted = kept(image(mask), image(mask, -30), mask, SPACING)
    assert inverted.contrast_kept == -0.5


def test_a_lesion_that_is_gone_among_noise_has_not_grown() -> None:
    mask = ball(8)
    after = image(mask, 6, 20)  # a tenth of the contrast: half of that is well within the noise
    found = lesion(after, mask, SPACING)
    assert found.volume > 0  # the rule alone finds noise
    gone = kept(image(mask, 60, 5), after, mask, SPACING)
    assert gone.contrast_kept < 0.25 and gone.volume_after == gone.volume_kept == gone.dice == 0 and math.isnan(gone.moved)


def test_blur_spares_a_large_lesion_and_takes_a_small_one() -> None:
    for radius, low, high in ((8, 0.9, 1.01), (2.1, 0.1, 0.6)):
        mask = ball(radius)
        blurred = gaussian_filter(image(mask), 1 / np.array(SPACING))
        assert low < kept(image(mask), blurred, mask, SPACING).contrast_kept < high


def test_other_lesions_are_no_surroundings() -> None:
    mask, other = ball(4), ball(9, (25, 39, 24))
    both = image(mask | other)
    alone = lesion(both, mask, SPACING, mask | other)
    assert alone.contrast == 60 and alone.volume == mask.sum() * 2


def test_separate_lesions() -> None:
    mask = ball(4, (10, 10, 10)) | ball(5, (35, 35, 30))
    parts = separate(mask * 3)
    assert [int(part.sum()) for part in parts] == [ball(4, (10, 10, 10)).sum(), ball(5, (35, 35, 30)).sum()]
    corner = np.zeros((4, 4, 4), bool)
    corner[0, 0, 0] = corner[1, 1, 1] = True
    assert len(separate(corner)) == 1


def test_wrong_use_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        lesion(image(ball(8)), np.zeros(SHAPE, bool), SPACING)
    with pytest.raises(ValueError, match="nothing but the lesion"):
        lesion(image(ball(8)), np.ones(SHAPE, bool), SPACING)
    with pytest.raises(ValueError, match="shapes"):
        kept(image(ball(8)), image(ball(8))[1:], ball(8), SPACING)
