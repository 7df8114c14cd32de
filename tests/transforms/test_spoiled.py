from __future__ import annotations

import numpy as np
import pytest

from medgen.transforms.spoil import spoil
from medgen.transforms.spoiled import find_spoiled
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
