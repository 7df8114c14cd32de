from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.random import RandomState
from scipy.stats import bootstrap

from medgen.evaluation.statistics import compare, holm, of_subjects, summarise


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


def test_scans_of_one_subject_count_once() -> None:
    values, subjects = [1.0, 3.0, 10.0, 20.0, 6.0], ["b", "b", "a", "c", "c"]
    assert list(of_subjects(values, subjects)) == [10, 2, 13]
    assert summarise(values, subjects=subjects) == summarise([10.0, 2.0, 13.0])
    assert summarise([*values, math.inf], subjects=[*subjects, "b"]) == {**summarise([10.0, 2.0, 13.0]), "identical": 1}


def test_repeating_scans_makes_no_interval_narrower() -> None:
    values = list(RandomState(4).normal(0, 1, 12))
    subjects = [str(i) for i in range(12)]
    once = summarise(values, subjects=subjects)
    assert summarise(values * 5, subjects=subjects * 5) == pytest.approx(once)
    with pytest.raises(ValueError, match="12 values and 11 subjects"):
        summarise(values, subjects=subjects[1:])


def test_two_methods_are_compared_by_the_signs_and_ranks() -> None:
    """Differences 1 to 7 of which only the 2 is negative: W- = 2 of 28, so r = 24 / 28, exact p = 6 / 128.

    Of the 2^7 signs, those with a rank sum of at most 2 are {}, {1}, {2}: 3, and twice that for both sides.
    """
    differences = np.array([1, -2, 3, 4, 5, 6, 7.0])
    second = RandomState(0).normal(0, 100, 7)
    found = compare(second + differences, second)
    assert found["n"] == 7 and found["difference"] == pytest.approx(24 / 7)
    assert found["effect"] == pytest.approx(24 / 28) and found["p"] == pytest.approx(6 / 128)
    swapped = compare(second, second + differences)
    assert swapped["effect"] == pytest.approx(-24 / 28) and swapped["p"] == pytest.approx(6 / 128)
    interval = summarise(list(differences))
    assert (found["low"], found["high"]) == pytest.approx((interval["low"], interval["high"]))


def test_equal_methods_differ_by_chance_as_often_as_p_says() -> None:
    random = RandomState(5)
    ps = [compare(random.normal(0, 1, 15), random.normal(0, 1, 15))["p"] for _ in range(300)]
    assert 0.02 < np.mean([p < 0.05 for p in ps if p is not None]) < 0.09


def test_few_pairs_have_no_p_and_equal_ones_no_effect() -> None:
    few = compare([1, 2, 3, 4, 5], [0, 0, 0, 0, 0])
    assert few["p"] is None and few["effect"] == 1 and few["difference"] == 3
    equal = compare([1.0] * 8, [1.0] * 8)
    assert equal["p"] is None and equal["effect"] is None and equal["difference"] == 0
    assert compare([], [])["difference"] is None


@pytest.mark.parametrize(("first", "second", "words"), [([1], [1, 2], "pairs"), ([1, math.inf], [1, 2], "not finite")])
def test_what_is_no_pair_is_refused(first: list[float], second: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        compare(first, second)


def test_holms_worked_example() -> None:
    """Four tests: 0.005 x 4, 0.01 x 3, then 0.03 x 2 and 0.04 x 1, which may not fall below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, None, 0.9]) == [1.0, None, 1.0]
    assert holm([]) == []


def test_holm_keeps_the_chance_of_any_false_finding() -> None:
    random = RandomState(6)
    found = [min(p for p in holm(list(random.rand(10))) if p is not None) < 0.05 for _ in range(2000)]
    assert 0.035 < np.mean(found) < 0.065
