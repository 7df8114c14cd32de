from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from medgen.evaluation.distribution import (
    class_score,
    density_coverage,
    deviations,
    enough,
    extrapolated_frechet,
    frechet_distance,
    interval,
    kernel_distance,
    precision_recall,
    squared_distances,
)


def normal(n: int, d: int, seed: int, mean: float = 0.0, scale: float = 1.0) -> np.ndarray:
    return mean + scale * np.random.default_rng(seed).standard_normal((n, d))


def by_sqrtm(a: np.ndarray, b: np.ndarray) -> float:
    c1, c2 = np.cov(a.T), np.cov(b.T)
    return float(np.square(a.mean(0) - b.mean(0)).sum() + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real))


@pytest.mark.parametrize(("n", "m", "d"), [(50, 70, 8), (300, 200, 24), (40, 500, 30), (70, 90, 60)])
def test_frechet_distance_is_that_of_scipy(n: int, m: int, d: int) -> None:
    mix = np.random.default_rng(9).standard_normal((d, d))
    a, b = normal(n, d, 0) @ mix, normal(m, d, 1, 0.5, 2.0)
    assert frechet_distance(a, b) == pytest.approx(by_sqrtm(a, b), rel=1e-6)


def test_frechet_distance_of_gaussians_is_the_closed_form() -> None:
    # of N(0, I) and N(m, diag(s^2)): d m^2 + sum (s - 1)^2
    scales = np.array([0.5, 1.0, 2.0, 3.0])
    a, b = normal(200_000, 4, 0), 1.5 + normal(200_000, 4, 1) * scales
    assert frechet_distance(a, b) == pytest.approx(4 * 1.5**2 + np.square(scales - 1).sum(), rel=0.01)


def test_frechet_distance_with_fewer_samples_than_features() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((10, 40)), rng.standard_normal((14, 40))
    padded = by_sqrtm(a, b)  # loses digits on singular matrices
    assert frechet_distance(a, b) == pytest.approx(padded, rel=1e-3)
    turn = np.linalg.qr(rng.standard_normal((40, 40)))[0]
    assert frechet_distance(a @ turn, b @ turn) == pytest.approx(frechet_distance(a, b), rel=1e-10)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_of_2048_features_is_quick() -> None:
    a, b = normal(300, 2048, 0), normal(300, 2048, 1)
    started = time.process_time()
    frechet_distance(a, b)
    assert time.process_time() - started < 3  # under 0.1 s on a quiet core; SciPy's takes over 10


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 30), st.integers(3, 30), st.integers(1, 12), st.integers(0, 1000), st.floats(0.1, 10))
def test_frechet_distance_is_a_squared_distance(n: int, m: int, d: int, seed: int, scale: float) -> None:
    a, b = normal(n, d, seed), normal(m, d, seed + 1, 1.0)
    value = frechet_distance(a, b)
    assert value >= 0 and value == pytest.approx(frechet_distance(b, a), rel=1e-8, abs=1e-9)
    assert frechet_distance(scale * a, scale * b) == pytest.approx(scale**2 * value, rel=1e-6, abs=1e-9)
    assert frechet_distance(a + 5, b + 5) == pytest.approx(value, rel=1e-6, abs=1e-8)


def test_the_extrapolated_distance_of_equal_distributions_is_nearer_to_zero() -> None:
    raw, extrapolated = [], []
    for seed in range(8):
        a, b = normal(60, 10, 2 * seed), normal(60, 10, 2 * seed + 1)
        raw.append(frechet_distance(a, b))
        extrapolated.append(extrapolated_frechet(a, b, seed=seed))
    assert np.mean(raw) > 0.6  # the truth is 0
    assert abs(np.mean(extrapolated)) < 0.25 * np.mean(raw)


def test_the_extrapolated_distance_draws_whole_groups() -> None:
    a, b = normal(12, 2, 0), normal(12, 2, 1)
    names = [f"sub-{number // 3}" for number in range(12)]
    assert extrapolated_frechet(a, b, (names, names)) != extrapolated_frechet(a, b)
    assert extrapolated_frechet(a, b, (["one"] * 12, names)) is None
    with pytest.raises(ValueError, match="12 rows and 2 groups"):
        extrapolated_frechet(a, b, (["x", "y"], names))


@pytest.mark.parametrize("kernel", ["polynomial", "gaussian"])
def test_the_kernel_distance_is_unbiased(kernel: str) -> None:
    found = np.array([kernel_distance(normal(20, 5, 2 * seed), normal(25, 5, 2 * seed + 1), kernel) for seed in range(200)])
    assert abs(found.mean()) < 3 * found.std() / np.sqrt(len(found))
    assert kernel_distance(normal(50, 5, 0), normal(50, 5, 1, 2.0), kernel) > 10 * found.std()


def test_the_kernel_distance_of_two_and_two_by_hand() -> None:
    a, b = np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])
    # (x y + 1)^3: within a 1, within b 343, across (1 + 1 + 27 + 64) / 4
    assert kernel_distance(a, b) == pytest.approx(1 + 343 - 2 * (1 + 1 + 27 + 64) / 4)
    with pytest.raises(ValueError, match="not linear"):
        kernel_distance(a, b, "linear")


def test_the_kernel_distance_of_slices_is_unbiased_with_their_subjects() -> None:
    names = np.repeat(["a", "b", "c", "d", "e", "f"], 4).tolist()
    plain, grouped = [], []
    for seed in range(200):  # four places in each subject, the same in both sets
        rng = np.random.default_rng(seed)
        a, b = (np.tile(3 * np.eye(4), (6, 1)) + np.repeat(rng.standard_normal((6, 4)), 4, axis=0) for _ in range(2))
        plain.append(kernel_distance(a, b, "gaussian"))
        grouped.append(kernel_distance(a, b, "gaussian", (names, names)))
    error = np.std(grouped) / np.sqrt(len(grouped))
    assert abs(np.mean(grouped)) < 3 * error < abs(np.mean(plain))
    with pytest.raises(ValueError, match="of one subject"):
        kernel_distance(a, b, groups=(["a"] * 24, names))


def test_precision_and_recall_where_they_are_known() -> None:
    a = normal(60, 3, 0)
    assert precision_recall(a, a) == (1.0, 1.0)
    assert precision_recall(a, a + 1000) == (0.0, 0.0)
    two_modes = np.concatenate([a, a + 1000])
    assert precision_recall(two_modes, a + 0.0) == (1.0, 0.5)  # half the modes are missing
    assert precision_recall(a, two_modes) == (0.5, 1.0)  # half of it is nonsense
    with pytest.raises(ValueError, match="at least 4 images"):
        precision_recall(a[:3], a)


def test_density_and_coverage_where_they_are_known() -> None:
    line = np.arange(20.0)[:, None]
    density, coverage = density_coverage(line, line, k=1)  # each has itself and its neighbours within reach
    assert coverage == 1.0 and density == pytest.approx((18 * 3 + 2 * 2) / 20)
    assert density_coverage(line, line + 1000) == (0.0, 0.0)
    one = np.full((20, 1), 10.0)  # all generated alike
    assert density_coverage(line, one, k=1)[1] == pytest.approx(3 / 20)


def test_the_class_score() -> None:
    assert class_score(np.eye(5)) == pytest.approx(5)
    assert class_score(np.full((7, 4), 0.25)) == pytest.approx(1)
    assert class_score(np.eye(5)[[2, 2, 2]]) == pytest.approx(1)  # clear, but all of one class
    with pytest.raises(ValueError, match="sum to 1"):
        class_score(np.ones((2, 3)))


def apart(a: np.ndarray, b: np.ndarray, groups: object) -> float:
    return frechet_distance(a, b)


def test_deviations_have_the_spread_of_a_mean() -> None:
    a, b = normal(40, 1, 0), normal(50, 1, 1)
    found = deviations(lambda x, y, _: float(x.mean() - y.mean()), a, b, resamples=2000)
    assert found is not None and found.mean() == pytest.approx(0, abs=1e-12)
    assert found.std() == pytest.approx(np.sqrt(a.var(ddof=1) / 40 + b.var(ddof=1) / 50), rel=0.06)
    odd = deviations(lambda x, y, _: float(x.mean() - y.mean()), a[:9], b[:9], resamples=2000)
    assert odd is not None and odd.std() == pytest.approx(np.sqrt(a[:9].var(ddof=1) / 9 + b[:9].var(ddof=1) / 9), rel=0.08)


def test_deviations_draw_whole_groups_the_same_for_all_features() -> None:
    names = ["a", "a", "b", "b", "c", "c", "d", "d"]
    twins = np.repeat(np.arange(4.0), 2)[:, None]
    found = deviations(lambda x, y, _: float(x.mean()), twins, twins, (names, names))
    again = deviations(lambda x, y, _: float(x.mean()), 3 * twins, twins, (names, names))
    assert found is not None and again is not None
    np.testing.assert_allclose(again, 3 * found)
    assert len(set(np.round(found, 9))) <= 6  # as many as there are pairs of subjects
    assert deviations(apart, twins, twins, (["a"] * 8, names)) is None


def test_the_interval_covers_the_truth() -> None:
    truth, hits = 4 * 0.5**2, 0
    for seed in range(30):
        a, b = normal(150, 4, 2 * seed), normal(150, 4, 2 * seed + 1, 0.5)
        low, high = interval(frechet_distance(a, b), deviations(apart, a, b, seed=seed))
        assert low is not None and high is not None
        hits += low <= truth + 0.06 <= high  # the raw value's own bias at this size is about 0.06
    assert 25 <= hits
    assert interval(1.0, None) == (None, None)
    assert interval(0.1, np.array([-0.5, 0.0, 0.5]), (0.0, 1.0))[0] == 0.0


def test_warnings_for_few_images() -> None:
    assert "singular" in str(enough(64, 64)) and "biased" in str(enough(200, 64)) and enough(1000, 64) is None


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (np.zeros((5, 3)), np.zeros((5, 4)), "of one d"),
        (np.zeros((1, 3)), np.zeros((5, 3)), "at least 2"),
        (np.zeros(5), np.zeros(5), "of one d"),
        (np.full((5, 3), np.nan), np.zeros((5, 3)), "NaN"),
    ],
)
def test_what_is_no_set_of_features_is_refused(a: np.ndarray, b: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        frechet_distance(a, b)


def test_squared_distances_keep_their_digits_far_from_zero() -> None:
    a, b = 1e6 + normal(5, 3, 0), 1e6 + normal(6, 3, 1)
    np.testing.assert_allclose(squared_distances(a, b), np.square(a[:, None] - b[None]).sum(-1), rtol=1e-6)
