from __future__ import annotations

import numpy as np
import pytest
from numpy.random import RandomState
from scipy.stats import ttest_rel

from medgen.evaluation.agreement import bland_altman


def test_a_worked_example() -> None:
    """Differences 1, 2, 3: bias 2, standard deviation 1; t of 2 degrees is 4.3027."""
    found = bland_altman([10, 20, 40], [11, 22, 43])
    assert found["n"] == 3 and found["bias"] == pytest.approx(2) and found["sd"] == pytest.approx(1)
    assert (found["lower"], found["upper"]) == pytest.approx((2 - 1.959964, 2 + 1.959964))
    assert found["bias_high"] - found["bias"] == pytest.approx(4.302653 / np.sqrt(3))
    assert found["upper_high"] - found["upper"] == pytest.approx(4.302653 * np.sqrt(1 / 3 + 1.959964**2 / 4))


def test_the_interval_of_the_bias_is_that_of_the_paired_t_test() -> None:
    random = RandomState(0)
    before = random.normal(50, 10, 25)
    after = before + random.normal(0.4, 1, 25)
    expected = ttest_rel(after, before).confidence_interval(0.9)
    found = bland_altman(before, after, 0.9)
    assert (found["bias_low"], found["bias_high"]) == pytest.approx((expected.low, expected.high))


def test_the_limits_hold_95_percent_and_noise_has_no_trend() -> None:
    random = RandomState(1)
    before = random.normal(50, 10, 20000)
    differences = random.normal(-2, 3, 20000)
    found = bland_altman(before - differences / 2, before + differences / 2)
    inside = (differences > found["lower"]) & (differences < found["upper"])
    assert inside.mean() == pytest.approx(0.95, abs=0.005)
    assert found["trend"] == pytest.approx(0, abs=0.01) and found["trend_p"] > 0.01


def test_a_loss_in_proportion_is_a_trend() -> None:
    before = np.linspace(10, 100, 20)
    found = bland_altman(before, 0.8 * before)
    assert found["trend"] == pytest.approx(-0.2 / 0.9) and found["trend_p"] < 1e-6


def test_perfect_agreement_has_limits_of_no_width() -> None:
    found = bland_altman([5.0, 5.0, 5.0], [5.0, 5.0, 5.0])
    assert found["lower"] == found["upper"] == found["bias"] == 0 and found["trend"] is None


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [([1, 2], [1, 2], "at least 3"), ([1, 2, 3], [1, 2], "pairs"), ([1, 2, 3], [1, 2, np.nan], "not finite")],
)
def test_wrong_use_is_refused(before: list[float], after: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        bland_altman(before, after)
