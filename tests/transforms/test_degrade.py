from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.random import RandomState

from medgen.transforms.degrade import RandMRNoised, gaussian_noise, low_dose_ct_noise, rician_noise, smooth_field

FLAT = np.zeros((50, 50, 50), np.float32)


def test_gaussian_noise_has_its_mean_and_sigma() -> None:
    out = gaussian_noise(FLAT + 3, 0.5, RandomState(0))
    assert out.dtype == np.float32
    assert out.mean() == pytest.approx(3, abs=0.01)
    assert out.std() == pytest.approx(0.5, rel=0.01)


def test_rician_noise_on_air_is_rayleigh() -> None:
    out = rician_noise(FLAT, 0.2, RandomState(0))
    assert out.min() >= 0
    assert out.mean() == pytest.approx(0.2 * np.sqrt(np.pi / 2), rel=0.01)
    assert out.var() == pytest.approx(0.04 * (2 - np.pi / 2), rel=0.02)


@pytest.mark.parametrize("signal", [0.1, 0.3, 1.0])
def test_rician_noise_has_the_second_and_fourth_moment_of_theory(signal: float) -> None:
    sigma = 0.1
    out = rician_noise(FLAT + signal, sigma, RandomState(1)).astype(np.float64)
    assert (out**2).mean() == pytest.approx(signal**2 + 2 * sigma**2, rel=0.01)
    assert (out**4).mean() == pytest.approx(signal**4 + 8 * sigma**2 * signal**2 + 8 * sigma**4, rel=0.02)


def test_sigma_may_vary_in_space() -> None:
    sigma = np.full(FLAT.shape, 0.05, np.float32)
    sigma[25:] = 0.2
    out = rician_noise(FLAT + 5, sigma, RandomState(2))
    assert out[:25].std() == pytest.approx(0.05, rel=0.02)
    assert out[25:].std() == pytest.approx(0.2, rel=0.02)


@pytest.mark.parametrize("blur", [0.4, 0.7, 1.5])
def test_blur_correlates_the_noise_and_keeps_its_sigma(blur: float) -> None:
    noise = rician_noise(FLAT + 10, 0.1, RandomState(3), blur) - 10
    assert noise.std() == pytest.approx(0.1, rel=0.02)
    neighbours = np.corrcoef(noise[1:].ravel(), noise[:-1].ravel())[0, 1]
    assert neighbours > 0.05
    white = rician_noise(FLAT + 10, 0.1, RandomState(3)) - 10
    assert abs(np.corrcoef(white[1:].ravel(), white[:-1].ravel())[0, 1]) < 0.02


def test_no_noise_leaves_the_image() -> None:
    image = RandomState(4).rand(8, 9, 10).astype(np.float32)
    np.testing.assert_allclose(rician_noise(image, 0.0, RandomState(0)), image, rtol=1e-6)


def test_noise_is_reproducible() -> None:
    np.testing.assert_array_equal(*(rician_noise(FLAT, 0.1, RandomState(7), 0.5) for _ in range(2)))
    assert (rician_noise(FLAT, 0.1, RandomState(7)) != rician_noise(FLAT, 0.1, RandomState(8))).any()


@pytest.mark.parametrize("shape", [(30, 41, 7), (1, 2, 3), (64, 4, 100)])
def test_smooth_field_is_smooth_bounded_and_shaped(shape: tuple[int, int, int]) -> None:
    field = smooth_field(shape, 0.5, 2.0, RandomState(0))
    assert field.shape == shape
    assert 0.5 <= field.min() <= field.max() <= 2.0
    for axis, n in enumerate(shape):
        if n >= 30:  # knots lie n / 4 voxels apart
            assert np.abs(np.diff(field, axis=axis)).max() < 1.5 * 3 / (n / 4)


def test_rand_mr_noise_is_reproducible_and_leaves_its_input() -> None:
    image = torch.rand(1, 12, 13, 14)
    before = image.clone()
    noisy = [RandMRNoised("image", prob=1.0).set_random_state(s)({"image": image})["image"] for s in (5, 5, 6)]
    assert torch.equal(image, before)
    assert noisy[0].shape == image.shape and noisy[0].dtype == torch.float32
    assert torch.equal(noisy[0], noisy[1]) and not torch.equal(noisy[0], noisy[2])


def test_rand_mr_noise_draws_sigma_within_its_range() -> None:
    transform = RandMRNoised("image", prob=1.0, sigma=(0.01, 0.1), prob_field=0.0, prob_blur=0.0).set_random_state(0)
    levels = [float(transform({"image": torch.full((1, 12, 12, 12), 5.0)})["image"].std()) for _ in range(60)]
    assert min(levels) > 0.009 and max(levels) < 0.11
    assert np.median(levels) == pytest.approx(np.sqrt(0.01 * 0.1), rel=0.3)  # log-uniform


def test_rand_mr_noise_with_no_probability_does_nothing() -> None:
    image = torch.rand(1, 6, 6, 6)
    assert torch.equal(RandMRNoised("image", prob=0.0)({"image": image})["image"], image)


def water(shape: tuple[int, int, int] = (64, 64, 3), radius: float = 22) -> np.ndarray:
    """A cylinder of water in air, in HU."""
    x, y = np.ogrid[: shape[0], : shape[1]]
    inside = (x - (shape[0] - 1) / 2) ** 2 + (y - (shape[1] - 1) / 2) ** 2 < radius**2
    return np.repeat(np.where(inside, 0.0, -1000.0)[..., None], shape[2], axis=2).astype(np.float32)


def centre(volume: np.ndarray, half: int = 8) -> np.ndarray:
    x, y = volume.shape[0] // 2, volume.shape[1] // 2
    return volume[x - half : x + half, y - half : y + half]


def test_ct_noise_variance_falls_with_the_photons() -> None:
    volume = water()
    noise = {n: low_dose_ct_noise(volume, 3.0, n, RandomState(0), electronic=0.0) - volume for n in (1e4, 1e5)}
    assert centre(noise[1e4]).var() / centre(noise[1e5]).var() == pytest.approx(10, rel=1e-3)


def test_ct_noise_has_the_variance_of_filtered_back_projection() -> None:
    """sigma^2 = pi^2 / (12 views step^2) * sigma_p^2 at the centre (Kak & Slaney), less what interpolation smooths."""
    volume, photons, spacing, views = water((64, 64, 6)), 1e5, 3.0, 64
    noise = low_dose_ct_noise(volume, spacing, photons, RandomState(1), electronic=0.0, views=views) - volume
    line = 44 * spacing * 0.0206
    expected = np.sqrt(np.pi**2 / (12 * views) * np.exp(line) / photons) / spacing / 0.0206 * 1000
    assert 0.6 * expected < centre(noise, 5).std() < 1.05 * expected


def test_ct_noise_keeps_the_mean_hu() -> None:
    volume = water((64, 64, 8))
    noise = low_dose_ct_noise(volume, 3.0, 1e5, RandomState(2)) - volume
    assert abs(centre(noise).mean()) < 0.1 * centre(noise).std()
    assert abs(noise[volume < -500].mean()) < 0.1 * centre(noise).std()


def test_ct_noise_is_stronger_in_the_body_than_in_air() -> None:
    volume = water()
    noise = low_dose_ct_noise(volume, 6.0, 1e5, RandomState(3)) - volume
    assert centre(noise, 5).std() > 1.3 * noise[:4, :4].std()  # a third of the corner's rays meet the body


def test_ct_noise_is_correlated_in_the_slice_and_not_across_slices() -> None:
    volume = water((64, 64, 6))
    noise = centre(low_dose_ct_noise(volume, 3.0, 1e5, RandomState(4)) - volume, 10)
    diagonal = np.corrcoef(noise[1:, 1:].ravel(), noise[:-1, :-1].ravel())[0, 1]
    across = np.corrcoef(noise[..., 1:].ravel(), noise[..., :-1].ravel())[0, 1]
    assert diagonal < -0.08  # the ramp filter leaves blue noise
    assert abs(across) < 0.08


def test_electronic_noise_matters_where_photons_starve() -> None:
    volume = water((48, 48, 1), 18)
    quiet, loud = (low_dose_ct_noise(volume, 6.0, 1e3, RandomState(5), electronic=e) - volume for e in (0.0, 20.0))
    assert centre(loud, 5).std() > 1.2 * centre(quiet, 5).std()


def test_ct_noise_of_a_slice_that_is_not_square_keeps_its_shape() -> None:
    volume = water((40, 57, 2), 15)
    first, again = (low_dose_ct_noise(volume, 3.0, 1e4, RandomState(6)) for _ in range(2))
    assert first.shape == volume.shape and first.dtype == np.float32
    np.testing.assert_array_equal(first, again)
