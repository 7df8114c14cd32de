"""Tiles with a halo: which part of a volume each computes, which part of that is kept. Geometry only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Tile:
    """One tile: `core` of the volume is computed from `window` of it, and is `inner` of what comes out."""

    core: Box
    window: Box
    inner: Box


@dataclass(frozen=True)
class Plan:
    """Tiles whose cores cover a volume once."""

    tiles: tuple[Tile, ...]
    work: float  #: voxels computed over voxels of the volume
    largest: int  #: voxels of the largest tile, halo included


def plan(shape: Sequence[int], stride: Sequence[int], halo: Sequence[int], max_voxels: float) -> Plan:
    """Return the cheapest tiles of at most `max_voxels` each, halo included.

    Cores begin at multiples of the stride, so that a network that is equivariant to shifts by it computes in each what it
    computes in the whole. At the border of the volume there is no halo: the network pads there as in one pass.

    Args:
        shape: of the volume, multiples of `stride`.
        halo: in voxels on each side, multiples of `stride`.

    Raises `MemoryError` where even the smallest tile is too large.
    """
    axes = [_divisions(n, s, h) for n, s, h in zip(shape, stride, halo)]
    largest = np.multiply.outer(np.multiply.outer(axes[0][1], axes[1][1]), axes[2][1])
    work = np.multiply.outer(np.multiply.outer(axes[0][2], axes[1][2]), axes[2][2])
    if largest.min() > max_voxels:
        raise MemoryError(f"a tile of {int(largest.min())} voxels is needed, and memory is there for {int(max_voxels)}")
    best = np.unravel_index(np.argmin(np.where(largest <= max_voxels, work, np.inf)), work.shape)
    sides = [int(axes[axis][0][index]) for axis, index in enumerate(best)]
    cuts = [[_cut(start, min(start + side, n), h, n) for start in range(0, n, side)] for side, n, h in zip(sides, shape, halo)]
    tiles = tuple(
        Tile((a[0], b[0], c[0]), (a[1], b[1], c[1]), (a[2], b[2], c[2])) for a in cuts[0] for b in cuts[1] for c in cuts[2]
    )
    return Plan(tiles, float(work[best]) / float(np.prod(shape)), int(largest[best]))


def _divisions(n: int, stride: int, halo: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the sides of cores that cut an axis into 1, 2, 3 ... parts, the longest window of each, and their sum."""
    sides = sorted({stride * ceil(n / (stride * parts)) for parts in range(1, n // stride + 1)}, reverse=True)
    windows = [[min(s + side + halo, n) - max(s - halo, 0) for s in range(0, n, side)] for side in sides]
    return np.array(sides), np.array([max(w) for w in windows]), np.array([sum(w) for w in windows])


def _cut(start: int, stop: int, halo: int, n: int) -> tuple[slice, slice, slice]:
    window = slice(max(start - halo, 0), min(stop + halo, n))
    return slice(start, stop), window, slice(start - window.start, stop - window.start)
