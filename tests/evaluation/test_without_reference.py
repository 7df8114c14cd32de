from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.random import RandomState
from scipy.ndimage import gaussian_filter

from medgen.evaluation.without_reference import foreground, noise_level, sharpness, slice_consistency

SHAPE = (40, 44, 30)


def smooth() -> np.ndarray:
    x, y, z = np.indices(SHAPE)
    return 500 + 200 * np.sin(x / 9) * np.cos(y / 11) + 5.0 * z


def noise(sigma: float, seed: int = 0) -> np.ndarray:
    return sigma * RandomState(seed).standard_normal(SHAPE)


@pytest.mark.parametrize("sigma", [2.0, 20.0, 100.0])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_noise_put_in_is_the_noise_found(sigma: float, axis: int) -> None:
    assert noise_level(smooth() + noise(sigma), axis) == pytest.approx(sigma, rel=0.03)


def test_structure_alone_has_next_to_none() -> None:
    assert noise_level(smooth(), 2) < 0.05


def test_edges_do_not_count_as_noise() -> None:
    image = smooth()
    image[10:20, 10:20] += 400
    assert noise_level(image + noise(10), 2) == pytest.approx(10, rel=0.05)


def test_a_jump_between_slices_does_not_count() -> None:
    stripes = smooth() + 100 * (np.arange(SHAPE[2]) % 2)
    assert noise_level(stripes + noise(10), 2) == pytest.approx(10, rel=0.03)


def test_padding_is_left_out_and_a_mask_kept_to() -> None:
    image = smooth() + noise(10)
    image[:25] = 0
    assert noise_level(image, 2) == pytest.approx(10, rel=0.05)
    image[:25] = noise(50, 1)[:25]
    mask = np.zeros(SHAPE, bool)
    mask[27:] = True
    assert noise_level(image, 2, mask) == pytest.approx(10, rel=0.05)


def test_the_scale_of_the_noise_goes_with_the_unit() -> None:
    image = smooth() + noise(10)
    assert noise_level(image * 1e-3, 2) == pytest.approx(noise_level(image, 2) * 1e-3)


def test_areas_of_one_value_between_edges_have_no_noise() -> None:
    image = np.zeros(SHAPE)
    image[5:35, 5:35] = 300
    image[12:20, 12:20] = 700
    image[22:24, 22:24] = 900
    assert noise_level(image, 2) == 0


@pytest.mark.parametrize(("image", "words"), [(np.ones((2, 9, 9)), "too small"), (np.ones((9, 9, 9)), "one value")])
def test_where_there_is_nothing_to_go_by(image: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        noise_level(image, 2)


def test_values_that_are_not_finite_are_refused() -> None:
    image = smooth()
    image[3, 3, 3] = math.nan
    for function in (noise_level, sharpness, slice_consistency):
        with pytest.raises(ValueError, match="NaN"):
            function(image, 2)


def test_blur_in_the_slices_is_told_from_blur_across() -> None:
    image = noise(1)
    within, across = sharpness(image, 2)
    blurred_within, kept_across = sharpness(gaussian_filter(image, (2, 2, 0)), 2)
    kept_within, blurred_across = sharpness(gaussian_filter(image, (0, 0, 2)), 2)
    assert blurred_within < within - 0.2 and abs(kept_across - across) < 0.1
    assert blurred_across < across - 0.2 and abs(kept_within - within) < 0.1


def test_sharpness_falls_with_every_blur() -> None:
    image = noise(1)
    values = [sharpness(gaussian_filter(image, sigma), 0)[0] for sigma in (0, 0.5, 1, 2)]
    assert (np.diff(values) < 0).all() and 0 < min(values) and max(values) < 1


def test_few_slices_have_no_sharpness_across() -> None:
    within, across = sharpness(noise(1)[..., :4], 2)
    assert 0 < within < 1 and math.isnan(across)
    assert sharpness(noise(1), 2)[0] == pytest.approx(sharpness(np.moveaxis(noise(1), 2, 0), 0)[0], abs=1e-6)


def test_a_slice_of_another_brightness_is_found() -> None:
    sound = smooth() + noise(3)
    correlation, worst, _ = slice_consistency(sound, 2)
    assert correlation > 0.95 and worst < 8
    spoilt = sound.copy()
    spoilt[..., 17] *= 1.1
    _, stands_out, where = slice_consistency(spoilt, 2)
    assert where == 17 and stands_out > 30


def test_independent_slices_have_no_correlation_and_equal_ones_all() -> None:
    assert slice_consistency(noise(1), 2)[0] == pytest.approx(0, abs=0.02)
    assert slice_consistency(np.repeat(noise(1)[..., :1], 30, axis=2), 2)[0] == pytest.approx(1)


def test_four_slices_are_too_few() -> None:
    with pytest.raises(ValueError, match="fewer than 5 slices"):
        slice_consistency(smooth()[..., :4], 2)


def test_the_foreground_is_the_bright_part() -> None:
    image = np.abs(noise(5))
    image[10:30, 10:30, 5:25] += 100
    expected = np.zeros(SHAPE, bool)
    expected[10:30, 10:30, 5:25] = True
    np.testing.assert_array_equal(foreground(image), expected)
    assert foreground(np.zeros(SHAPE)).all()
