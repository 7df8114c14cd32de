from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.random import RandomState
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from medgen.evaluation.image_quality import mae, measure, psnr, ssim

SHAPE = (16, 14, 12)


def images(shape: tuple[int, ...] = SHAPE, kind: str = "float32") -> tuple[np.ndarray, np.ndarray, float]:
    """Return a candidate, a reference and a data range: smooth structure, and noise on it in the candidate."""
    random = RandomState(sum(shape))
    ramp = np.linspace(0, 3, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    clean = 0.5 + 0.3 * np.sin(ramp + random.rand(*shape))
    noisy = np.clip(clean + random.normal(0, 0.1, shape), 0, 1)
    low, scale = {"int16": (-1024, 4095), "uint8": (0, 255), "float32": (0, 1), "float64": (-3e-3, 1e-3)}[kind]
    noisy, clean = ((low + scale * image).astype(kind) for image in (noisy, clean))
    return noisy, clean, float(scale)


def expected_ssim(candidate: np.ndarray, reference: np.ndarray, data_range: float) -> float:
    return structural_similarity(
        candidate.astype(np.float64),
        reference.astype(np.float64),
        data_range=data_range,
        gaussian_weights=True,
        use_sample_covariance=False,
        sigma=1.5,
    )


@pytest.mark.parametrize("kind", ["int16", "uint8", "float32", "float64"])
@pytest.mark.parametrize("shape", [(11, 11, 11), (16, 14, 12), (24, 12, 31)])
def test_equal_to_scikit_image(shape: tuple[int, ...], kind: str) -> None:
    candidate, reference, data_range = images(shape, kind)
    wide = [image.astype(np.float64) for image in (reference, candidate)]
    assert psnr(candidate, reference, data_range) == pytest.approx(
        peak_signal_noise_ratio(*wide, data_range=data_range), abs=1e-10
    )
    assert ssim(candidate, reference, data_range) == pytest.approx(
        expected_ssim(candidate, reference, data_range), abs=1e-10
    )


@pytest.mark.parametrize("data_range", [0.25, 1.0, 40.0])
def test_equal_to_scikit_image_at_any_data_range(data_range: float) -> None:
    candidate, reference, _ = images()
    wide = [image.astype(np.float64) for image in (reference, candidate)]
    values = measure(candidate, reference, data_range)
    assert values["psnr"] == pytest.approx(peak_signal_noise_ratio(*wide, data_range=data_range), abs=1e-10)
    assert values["ssim"] == pytest.approx(expected_ssim(candidate, reference, data_range), abs=1e-10)


@pytest.mark.parametrize("offset", [0.5, -2.0, 25.0])
def test_a_constant_offset_has_its_closed_form(offset: float) -> None:
    _, reference, _ = images()
    reference = reference.astype(np.float64)
    assert psnr(reference + offset, reference, 100) == pytest.approx(20 * math.log10(100 / abs(offset)), abs=1e-9)
    assert mae(reference + offset, reference) == pytest.approx(abs(offset), rel=1e-12)


def test_two_flat_images_have_the_luminance_term_as_their_ssim() -> None:
    a, b = np.full(SHAPE, 30.0), np.full(SHAPE, 50.0)
    c1 = (0.01 * 100) ** 2
    assert ssim(a, b, 100) == pytest.approx((2 * 30 * 50 + c1) / (30**2 + 50**2 + c1), abs=1e-10)


@pytest.mark.parametrize("kind", ["int16", "uint8"])
def test_differences_of_integers_do_not_wrap_around(kind: str) -> None:
    limits = np.iinfo(kind)
    low, high = np.full(SHAPE, limits.min, kind), np.full(SHAPE, limits.max, kind)
    span = float(limits.max) - limits.min
    assert mae(low, high) == span
    assert psnr(low, high, span) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("kind", ["int16", "uint8", "float32"])
def test_an_identical_pair(kind: str) -> None:
    _, reference, data_range = images(kind=kind)
    values = measure(reference.copy(), reference, data_range)
    assert values == {"psnr": math.inf, "ssim": pytest.approx(1, abs=1e-12), "mae": 0}


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 2), (16, 14, 1), (5, 20, 10), (10, 10, 10)])
def test_thin_volumes_have_finite_values(shape: tuple[int, ...]) -> None:
    _, reference, _ = images(shape)
    values = measure(reference + 0.1, reference, 1.0)
    assert values["psnr"] == pytest.approx(20, abs=1e-4) and values["mae"] == pytest.approx(0.1, abs=1e-6)
    assert 0 < values["ssim"] < 1
    assert ssim(reference, reference, 1.0) == pytest.approx(1, abs=1e-12)


def test_a_thin_axis_is_kept_whole() -> None:
    """Repeating a slice changes nothing but the border, of which there is none across a constant axis."""
    candidate, reference, _ = images((20, 18, 1))
    thick, truth = (np.repeat(image, 15, axis=2) for image in (candidate, reference))
    assert ssim(candidate, reference, 1.0) == pytest.approx(ssim(thick, truth, 1.0), abs=1e-10)


def test_a_mask_measures_inside_only() -> None:
    candidate, reference, _ = images((30, 16, 16))
    mask = np.zeros(reference.shape, bool)
    mask[:8] = True
    spoilt = candidate.copy()
    spoilt[20:] += 50  # farther away than the window of SSIM reaches
    inside = measure(candidate, reference, 1.0, mask)
    assert measure(spoilt, reference, 1.0, mask) == pytest.approx(inside, abs=1e-12)
    assert measure(spoilt, reference, 1.0)["mae"] > 10 * inside["mae"]
    assert inside["mae"] == pytest.approx(mae(candidate[:8], reference[:8]), abs=1e-12)
    assert inside["psnr"] == pytest.approx(psnr(candidate[:8], reference[:8], 1.0), abs=1e-12)


def test_a_mask_may_hold_numbers_and_one_of_all_voxels_is_none_for_psnr() -> None:
    candidate, reference, _ = images()
    labels = RandomState(0).randint(0, 3, SHAPE).astype(np.uint8)
    assert measure(candidate, reference, 1.0, labels) == measure(candidate, reference, 1.0, labels != 0)
    everywhere = np.ones(SHAPE, np.uint8)
    assert psnr(candidate, reference, 1.0, everywhere) == pytest.approx(psnr(candidate, reference, 1.0), abs=1e-12)


def test_ssim_in_a_mask_is_the_mean_of_scikit_images_map() -> None:
    candidate, reference, _ = images()
    _, similarity = structural_similarity(
        candidate.astype(np.float64),
        reference.astype(np.float64),
        data_range=1.0,
        gaussian_weights=True,
        use_sample_covariance=False,
        full=True,
    )
    mask = RandomState(1).rand(*SHAPE) > 0.7
    assert ssim(candidate, reference, 1.0, mask) == pytest.approx(similarity[mask].mean(), abs=1e-10)


def test_all_are_symmetric() -> None:
    a, b, _ = images()
    assert measure(a, b, 1.0) == pytest.approx(measure(b, a, 1.0), abs=1e-12)


def test_all_get_worse_with_noise() -> None:
    _, reference, _ = images()
    noise = RandomState(3).normal(0, 1, SHAPE)
    values = [measure(reference + sigma * noise, reference, 1.0) for sigma in (0.01, 0.05, 0.2, 1.0)]
    for name, sign in (("psnr", -1), ("ssim", -1), ("mae", 1)):
        assert (np.diff([sign * value[name] for value in values]) > 0).all()


def test_the_unit_does_not_matter_when_the_range_goes_with_it() -> None:
    candidate, reference, _ = images(kind="float64")
    one, other = measure(candidate, reference, 1e-3), measure(candidate * 1e6, reference * 1e6, 1e3)
    assert one["psnr"] == pytest.approx(other["psnr"], abs=1e-9) and one["ssim"] == pytest.approx(
        other["ssim"], abs=1e-9
    )
    assert other["mae"] == pytest.approx(one["mae"] * 1e6, rel=1e-9)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("masked", [False, True])
def test_values_that_are_not_finite_are_refused(value: float, which: int, masked: bool) -> None:
    pair = [image.copy() for image in images()[:2]]
    pair[which][0, 0, 0] = value
    mask = np.arange(np.prod(SHAPE)).reshape(SHAPE) > 5 if masked else None
    for metric in (measure, psnr, ssim):
        with pytest.raises(ValueError, match="NaN or infinite"):
            metric(pair[0], pair[1], 1.0, mask)
    with pytest.raises(ValueError, match="NaN or infinite"):
        mae(pair[0], pair[1], mask)


@pytest.mark.parametrize("data_range", [0, -1, math.nan, math.inf, 1e200, 1e-200])
@pytest.mark.parametrize("metric", [psnr, ssim, measure])
def test_a_data_range_that_is_none_is_refused(metric, data_range: float) -> None:  # type: ignore[no-untyped-def]
    candidate, reference, _ = images()
    with pytest.raises(ValueError, match="the data range must be above 0"):
        metric(candidate, reference, data_range)


def test_shapes_must_agree_and_are_never_broadcast() -> None:
    candidate, reference, _ = images()
    for other in (reference[:1], reference[..., :-1], reference[0]):
        with pytest.raises(ValueError, match="shape"):
            measure(candidate, other, 1.0)
        with pytest.raises(ValueError, match="shape"):
            measure(candidate, reference, 1.0, np.ones(other.shape, bool))


def test_an_empty_mask_is_refused() -> None:
    candidate, reference, _ = images()
    for metric in (psnr, ssim):
        with pytest.raises(ValueError, match="empty"):
            metric(candidate, reference, 1.0, np.zeros(SHAPE, bool))
    with pytest.raises(ValueError, match="empty"):
        mae(candidate, reference, np.zeros(SHAPE, bool))


def test_the_images_are_left_as_they_were() -> None:
    candidate, reference, _ = images(kind="float64")
    before = candidate.copy(), reference.copy()
    measure(candidate, reference, 1e-3, np.ones(SHAPE, bool))
    np.testing.assert_array_equal(candidate, before[0])
    np.testing.assert_array_equal(reference, before[1])
