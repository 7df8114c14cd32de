from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import zoom

from medgen.transforms.spoil import spoil
from medgen.transforms.spoiled import find_spoiled, find_uneven
from tests.transforms.test_repair import scan


def head(seed: int = 0) -> np.ndarray:
    return scan(seed) / 400


@pytest.mark.parametrize("seed", range(4))
def test_a_clean_scan_raises_no_alarm(seed: int) -> None:
    assert find_spoiled(head(seed)) == []


def test_the_middle_of_something_symmetric_is_no_fault() -> None:
    rng = np.random.RandomState(0)
    x, y, z = np.ogrid[:40, :36, :33]
    ball = ((x - 20) ** 2 + (y - 18) ** 2 + (z - 16) ** 2 < 14**2) + 0.07 * rng.standard_normal((40, 36, 33))
    assert find_spoiled(ball.astype(np.float32), (1.0, 1.2, 2.0)) == []


@pytest.mark.parametrize("fault", ["dropout", "zipper", "spike", "noise"])
@pytest.mark.parametrize("at", [12, 20])
def test_a_fault_is_found_where_it_is_and_nowhere_else(fault: str, at: int) -> None:
    found = find_spoiled(spoil(head(), 1, [at], fault, np.random.RandomState(at)))
    assert [(s.axis, s.slice) for s in found] == [(1, at)] and found[0].score > 1 and found[0].reason


def test_a_run_of_lost_slices_is_found_whole() -> None:
    image = head()
    image[:, :, 14:17] *= 0.1
    assert [(s.axis, s.slice) for s in find_spoiled(image)] == [(2, 14), (2, 15), (2, 16)]


@pytest.mark.parametrize(("start", "count", "value"), [(9, 4, 0.0), (14, 5, 0.0), (12, 8, 0.0), (8, 15, 0.3)])
def test_a_lost_slab_is_found_whole_however_long(start: int, count: int, value: float) -> None:
    image = head()
    image[:, start : start + count] = value
    assert [(s.axis, s.slice, s.reason) for s in find_spoiled(image)] == [(1, k, "empty") for k in range(start, start + count)]


@pytest.mark.parametrize(("count", "gain"), [(4, 0.6), (5, 0.6), (8, 0.1), (6, 1.6)])
def test_a_long_run_of_another_brightness_is_found_whole(count: int, gain: float) -> None:
    image = head()
    image[:, 18 : 18 + count] *= gain
    assert [(s.axis, s.slice, s.reason) for s in find_spoiled(image)] == [(1, k, "brightness") for k in range(18, 18 + count)]


@pytest.mark.parametrize(("period", "first", "gain"), [(2, 0, 0.8), (2, 1, 0.5), (3, 1, 1.4), (3, 2, 0.7)])
def test_an_uneven_interleave_is_found_with_its_gain(period: int, first: int, gain: float) -> None:
    image = head()
    image[:, first::period] *= gain
    (found,) = find_uneven(image)
    assert (found.axis, found.first, found.period) == (1, first, period) and found.gain == pytest.approx(gain, rel=0.02)
    image[:, first::period] /= found.gain
    assert find_spoiled(image) == [] and find_uneven(image) == []


def test_of_two_interleaves_the_darker_is_the_one_at_fault() -> None:
    image = head()
    image[:, ::2] *= 1.25
    (found,) = find_uneven(image)
    assert found.first == 1 and found.gain == pytest.approx(0.8, rel=0.02)


def test_noise_in_every_second_slice_is_no_gain() -> None:
    image = head()
    image[:, ::2] += 0.3 * np.random.RandomState(0).standard_normal(image[:, ::2].shape)
    assert find_uneven(image) == []


def test_two_bodies_with_air_between_are_whole() -> None:
    x, y, z = np.mgrid[-1:1:60j, -1:1:41j, -1:1:33j]
    legs = ((np.abs(x) - 0.5) ** 2 / 0.18 + (y + 0.1) ** 2 / 0.5 < 1) * (1 + 0.2 * np.sin(3 * z + 2 * y))
    assert not legs[28:32].any()
    assert find_spoiled(legs.astype(np.float32)) == [] and find_uneven(legs) == []


def _cut(image: np.ndarray) -> np.ndarray:
    return np.where(np.arange(image.shape[2]) < image.shape[2] // 3, 0, image)


def _stripped(image: np.ndarray) -> np.ndarray:
    x, y, z = np.mgrid[-1:1:40j, -1:1:48j, -1:1:36j]
    return np.where(x**2 + 1.2 * y**2 + z**2 < 0.5, image, 0)


@pytest.mark.parametrize("change", [
    lambda image: np.pad(image, 12), lambda image: np.pad(image[:, :, 8:-8], ((0, 0), (5, 9), (10, 10))), _cut, _stripped,
    lambda image: zoom(image, (1, 1, 2), order=1), lambda image: zoom(image, 1.3, order=3), lambda image: zoom(image, 2, order=0),
])  # fmt: skip
def test_padded_cut_stripped_and_interpolated_scans_raise_no_alarm(change: Callable[[np.ndarray], np.ndarray]) -> None:
    image = change(head())
    assert find_spoiled(image) == [] and find_uneven(image) == []


def test_thick_slices_are_judged_across_their_own_axis_alone() -> None:
    spoiled = spoil(spoil(head(), 1, [20], "dropout", np.random.RandomState(0)), 2, [15], "dropout", np.random.RandomState(0))
    assert {s.axis for s in find_spoiled(spoiled, (1.0, 1.0, 4.0))} == {2}


def test_a_higher_threshold_finds_less() -> None:
    spoiled = spoil(head(), 1, [20], "zipper", np.random.RandomState(0))
    (found,) = find_spoiled(spoiled)
    assert find_spoiled(spoiled, threshold=1.01 * found.score) == []
    assert find_spoiled(spoiled, threshold=0.99 * found.score)


def test_few_or_empty_slices_are_not_judged() -> None:
    assert find_spoiled(head()[:, :, 10:16], (1.0, 1.0, 5.0)) == []
    assert find_spoiled(np.zeros((20, 20, 20), dtype=np.float32)) == []
