from __future__ import annotations

import numpy as np
import pytest
from numpy.random import RandomState
from scipy.ndimage import gaussian_filter

from medgen.evaluation.edges import edges_kept, gradient_kept

SPACING = (1.0, 1.0, 3.0)


def texture(seed: int = 0) -> np.ndarray:
    return 100 * gaussian_filter(RandomState(seed).standard_normal((24, 22, 20)), 1.5)


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.7])
def test_a_contrast_scaled_is_the_gradient_kept(factor: float) -> None:
    image = texture()
    assert gradient_kept(factor * image - 40, image, SPACING) == pytest.approx(factor, rel=1e-12)
    assert edges_kept(factor * image - 40, image) == pytest.approx(1, abs=1e-12)


def test_a_ramp_along_the_slices_counts_by_its_millimetres() -> None:
    """A reference that rises by 1 per mm along X and Z, a candidate that kept X alone: half of the energy."""
    x, _, z = np.indices((9, 8, 7)).astype(float)
    truth = x + 3 * z
    inner = np.zeros(truth.shape, bool)
    inner[1:-1, 1:-1, 1:-1] = True  # where both have a central difference
    assert gradient_kept(x, truth, SPACING, inner) == pytest.approx(0.5)
    assert gradient_kept(x, truth, (1, 1, 1), inner) == pytest.approx(0.1)  # 1 of 1 + 9


def test_a_sine_loses_what_a_gaussian_takes_from_it() -> None:
    wave = np.sin(2 * np.pi * np.arange(64) / 16)[:, None, None] * np.ones((64, 5, 5))
    blurred = gaussian_filter(wave, (2, 0, 0), mode="wrap")
    inner = np.zeros(wave.shape, bool)
    inner[16:48] = True
    expected = np.exp(-0.5 * (2 * 2 * np.pi / 16) ** 2)
    assert gradient_kept(blurred, wave, (1, 1, 1), inner) == pytest.approx(expected, rel=1e-3)


def test_noise_leaves_the_gradient_and_spoils_the_edges() -> None:
    image = texture()
    noisy = image + 2 * RandomState(5).standard_normal(image.shape)
    assert gradient_kept(noisy, image, SPACING) == pytest.approx(1, abs=0.03)
    expected = np.corrcoef(*[laplacian(x).ravel() for x in (noisy, image)])[0, 1]
    assert edges_kept(noisy, image) == pytest.approx(expected, abs=1e-9) and expected < 0.8


def laplacian(image: np.ndarray) -> np.ndarray:
    """The sum of second differences, by shifts."""
    padded = np.pad(image, 1, mode="symmetric")
    centre = (slice(1, -1),) * 3
    return sum(np.roll(padded, step, axis)[centre] for axis in range(3) for step in (1, -1)) - 6 * image


def test_a_mask_measures_inside_only() -> None:
    image = texture()
    spoilt = image.copy()
    spoilt[14:] *= 5
    mask = np.zeros(image.shape, bool)
    mask[1:12] = True
    assert gradient_kept(spoilt, image, SPACING, mask) == pytest.approx(1) == edges_kept(spoilt, image, mask)
    assert gradient_kept(spoilt, image, SPACING) > 1.5


def test_integers_do_not_wrap_around() -> None:
    image = np.zeros((5, 5, 5), np.uint8)
    image[2:] = 255
    assert gradient_kept(image, image.astype(float), (1, 1, 1)) == edges_kept(image, image.astype(float)) == 1


def test_no_edges_are_no_value() -> None:
    flat = np.full((6, 6, 6), 3.0)
    with pytest.raises(ValueError, match="no gradient"):
        gradient_kept(texture()[:6, :6, :6], flat, SPACING)
    with pytest.raises(ValueError, match="no edges"):
        edges_kept(texture()[:6, :6, :6], flat)
