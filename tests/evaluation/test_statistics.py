from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.random import RandomState
from scipy.stats import bootstrap

from medgen.evaluation.statistics import summarise


@pytest.mark.parametrize(("confidence", "z"), [(0.8, 1.2816), (0.95, 1.9600), (0.99, 2.5758)])
def test_the_interval_of_a_big_sample_is_that_of_normal_theory(confidence: float, z: float) -> None:
    values = RandomState(0).normal(30, 4, 400)
    summary = summarise(list(values), confidence)
    half = z * values.std() / math.sqrt(len(values))
    assert summary["mean"] == pytest.approx(values.mean())
    assert summary["low"] == pytest.approx(values.mean() - half, abs=0.05 * half)
    assert summary["high"] == pytest.approx(values.mean() + half, abs=0.05 * half)


def test_the_interval_is_scipys() -> None:
    values = RandomState(1).gamma(2, 3, 30)
    expected = bootstrap(
        (values,), np.mean, method="percentile", n_resamples=99_999, vectorized=True
    ).confidence_interval
    summary = summarise(list(values))
    assert summary["low"] == pytest.approx(expected.low, rel=0.02)
    assert summary["high"] == pytest.approx(expected.high, rel=0.02)


def test_the_interval_holds_the_true_mean_about_as_often_as_it_says() -> None:
    random = RandomState(2)
    held = 0
    for seed in range(200):
        summary = summarise(list(random.normal(5, 1, 40)), 0.9, seed)
        assert summary["low"] is not None and summary["high"] is not None
        held += summary["low"] <= 5 <= summary["high"]
    assert 0.82 * 200 <= held <= 0.96 * 200


@pytest.mark.parametrize("n", [1, 2])
def test_fewer_than_three_values_have_no_interval(n: int) -> None:
    assert summarise([4.0, 8.0][:n]) == {"n": n, "identical": 0, "mean": 4.0 + 2 * (n - 1), "low": None, "high": None}


def test_three_values_have_one_between_the_least_and_the_greatest() -> None:
    summary = summarise([1.0, 2.0, 6.0])
    assert summary["mean"] == 3 and summary["low"] is not None and summary["high"] is not None
    assert 1 <= summary["low"] < 3 < summary["high"] <= 6


def test_equal_values_have_an_interval_of_no_width() -> None:
    assert summarise([0.5] * 5) == {"n": 5, "identical": 0, "mean": 0.5, "low": 0.5, "high": 0.5}


def test_infinite_values_are_counted_and_left_out() -> None:
    values = [30.0, 31.0, 33.0, 35.0]
    assert summarise([math.inf, *values, math.inf]) == {**summarise(values), "identical": 2}
    assert summarise([30.0, math.inf, 32.0, math.inf]) == {
        "n": 2,
        "identical": 2,
        "mean": 31,
        "low": None,
        "high": None,
    }


@pytest.mark.parametrize("identical", [0, 3])
def test_no_finite_values_have_no_mean(identical: int) -> None:
    assert summarise([math.inf] * identical) == {
        "n": 0,
        "identical": identical,
        "mean": None,
        "low": None,
        "high": None,
    }


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        summarise([1.0, math.nan, 2.0])


def test_the_seed_decides() -> None:
    values = list(RandomState(3).rand(20))
    assert summarise(values, seed=1) == summarise(values, seed=1)
    assert summarise(values, seed=1) != summarise(values, seed=2)


def test_no_global_random_state_is_used() -> None:
    np.random.seed(0)
    expected = np.random.rand()
    np.random.seed(0)
    summarise([1.0, 2.0, 4.0])
    assert np.random.rand() == expected


def test_the_summary_is_of_plain_numbers() -> None:
    assert {type(value) for value in summarise(list(np.array([1, 2, 4], np.float32))).values()} == {int, float}
