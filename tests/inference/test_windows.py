"""Tiles cover a volume once, fit the memory, and are as few as that allows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medgen.inference.windows import plan

sides = st.integers(1, 12)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    units=st.tuples(sides, sides, sides),
    stride=st.tuples(*[st.sampled_from([1, 2, 4])] * 3),
    halo=st.tuples(*[st.integers(0, 3)] * 3),
    share=st.floats(0.2, 1),
)
def test_any_plan_is_sound(
    units: tuple[int, ...], stride: tuple[int, ...], halo: tuple[int, ...], share: float
) -> None:
    shape = [u * s for u, s in zip(units, stride)]
    reach = [h * s for h, s in zip(halo, stride)]
    least = np.prod([min(n, s + 2 * r) for n, s, r in zip(shape, stride, reach)])
    limit = max(least, share * np.prod(shape))
    found = plan(shape, stride, reach, limit)
    covered, computed = np.zeros(shape, int), 0
    for tile in found.tiles:
        covered[tile.core] += 1
        computed += np.zeros(shape)[tile.window].size
        assert np.zeros(shape)[tile.window].size <= found.largest <= limit
        assert np.zeros(shape)[tile.window][tile.inner].shape == np.zeros(shape)[tile.core].shape
        for core, window, inner, n, s, r in zip(tile.core, tile.window, tile.inner, shape, stride, reach):
            assert core.start % s == window.start % s == 0
            assert window.start == max(core.start - r, 0) and window.stop == min(core.stop + r, n)
            assert inner.start == core.start - window.start
    assert (covered == 1).all()
    assert found.work == pytest.approx(computed / np.prod(shape))


def test_what_fits_is_one_pass() -> None:
    found = plan((64, 48, 40), (8, 8, 8), (16, 16, 16), 64 * 48 * 40)
    assert len(found.tiles) == 1 and found.work == 1 and found.largest == 64 * 48 * 40


def test_cuts_go_where_they_cost_least() -> None:
    """Half the memory: one cut across the longest axis recomputes the fewest voxels."""
    found = plan((128, 64, 64), (8, 8, 8), (8, 8, 8), 80 * 64 * 64)
    assert [tile.core[0] for tile in found.tiles] == [slice(0, 64), slice(64, 128)]
    assert found.work == (2 * 72) / 128


def test_too_little_memory_is_an_error() -> None:
    with pytest.raises(MemoryError, match="a tile of 13824 voxels is needed, and memory is there for 13000"):
        plan((64, 64, 64), (8, 8, 8), (8, 8, 8), 13000)
