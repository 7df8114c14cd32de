"""Find spoiled slices without being told: a slice that differs from both its neighbours more than they from each other.

Along the slice axis a clean scan changes gradually, however fast: of three slices in a row the outer two differ most, and
any statistic of the middle one lies near or between theirs. A spoiled slice, or a run of up to three, breaks that from
both sides. So each slice is judged by its neighbours alone, at the ends of a head as in its middle. No false alarm is
worth more than the last fault found: a slice must stand out both by an amount that no clean scan of the training data
showed, and from the scan's own unrest. Two faults are another matter: a
longer slab, empty or stepped in brightness, and interleaves of unlike brightness (every second or third slice), which hold
their anatomy and only want a gain. What is cut off at an end is not looked for: a padded scan that ends there is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import median_filter

RUN = 3  #: longest run of slices that are spoiled in any way
LONG = 10  #: longest run that is darker or brighter
EMPTY = 1e-3  #: an empty slice differs by no more than this within itself
CERTAIN = 99.0  #: its score
FALL = 0.8  #: the last slice of a body that tapers off holds less than this of the one before
MOST = 10.0  #: an interleave that is darker or brighter by more holds too little for a gain to mend
LEAST = 12  #: slices that a scan must have for judging any of them
UNREST = 2.0  #: robust standard deviations of the scan's own slice to slice changes that a statistic must stand out too
AROUND = 4  #: slices on each side that the differences to the neighbours are compared with
#: how far, in natural logarithms, a statistic must stand out at least, upwards and downwards (None: never). On 20 clean MR
#: scans of the training data the most was 0.13, 0.12, 0.11, 0.20, 0.28, 1.24 and 0.85, in this order; on 16 of the
#: development data, brightness 0.17
LIMITS: dict[str, tuple[float, float | None]] = {
    "difference": (0.25, None),
    "brightness": (0.19, 0.19),
    "noise": (0.20, None),
    "edges": (0.28, 0.28),
    "residual": (0.40, None),
    "line": (1.6, None),
    "wave": (1.2, None),
    "steps": (0.12, 0.12),  # into a long run and out of it again; on all 55 of training and development 0.05
    "interleave": (0.08, 0.08),  # the gain; on all 0.011, but for the one of them that is uneven, 0.036
}
#: statistics of the difference to both neighbours, which a fault raises in these too, half as much
SHARED = ("residual", "line", "wave")


class Spoiled(NamedTuple):
    """A slice that stands out."""

    axis: int
    slice: int
    reason: str  #: the statistic that stands out most
    score: float  #: by how many times the limit


class Uneven(NamedTuple):
    """An interleave that is darker or brighter than the slices between."""

    axis: int
    first: int
    period: int  #: `first` and every so manieth slice after it
    gain: float  #: what they were multiplied by
    score: float  #: by how many times the limit


def slice_statistics(planes: np.ndarray) -> dict[str, np.ndarray]:
    """Return logarithms of statistics of each slice of (slices, X, Y), whose robust maximum is of order 1.

    Its brightness, its noise (differences that smooth images do not have), its edges; and of its difference to the mean of
    its neighbours the root mean square, the strongest line and the strongest wave.
    """
    floor = 0.003
    padded = np.concatenate([planes[1:2], planes, planes[-2:-1]])
    away = planes - 0.5 * (padded[:-2] + padded[2:])
    fine = planes[:, 1:, 1:] - planes[:, :-1, 1:] - planes[:, 1:, :-1] + planes[:, :-1, :-1]
    slope = np.abs(np.diff(planes, axis=1)).mean((1, 2)) + np.abs(np.diff(planes, axis=2)).mean((1, 2))
    mean = np.abs(planes).mean((1, 2))
    profiles = [away.mean(axis) for axis in (1, 2)]
    lines = [np.abs(p - median_filter(p, (1, 5))).max(1) for p in profiles]
    spectrum = np.abs(np.fft.rfft2(away))
    spectrum[:, :4, :4] = spectrum[:, -3:, :4] = 0
    wave = spectrum.max((1, 2)) / planes[0].size
    return {
        "brightness": np.log(mean + floor),
        "noise": np.log(np.abs(fine).mean((1, 2)) + floor),
        "edges": np.log((slope + floor) / (mean + floor)),
        "residual": np.log(np.sqrt(np.square(away).mean((1, 2))) + floor),
        "line": np.log(np.maximum(*lines) + floor),
        "wave": np.log(wave + floor / 3),
    }


def standing_out(values: np.ndarray, run: int) -> tuple[np.ndarray, np.ndarray]:
    """Return by how much each run of slices from k on lies above, and below, both slices around it."""
    up, down = np.full((2, len(values)), -np.inf)
    for k in range(1, len(values) - run):
        inside, around = values[k : k + run], (values[k - 1], values[k + run])
        up[k], down[k] = inside.min() - max(around), min(around) - inside.max()
    return up, down


def standing_alone(values: np.ndarray) -> np.ndarray:
    """Return by how much each slice lies above those around it but the next, on the side where they are higher.

    A slice that is not above both its neighbours by a third of the logarithm of 2, which a fault is, does not stand out.
    """
    up = np.full(len(values), -np.inf)
    for k in range(2, len(values) - 2):
        sides = np.median(values[max(k - AROUND, 0) : k - 1]), np.median(values[k + 2 : k + 1 + AROUND])
        if values[k] - max(values[k - 1], values[k + 1]) > np.log(2) / 3:
            up[k] = values[k] - max(sides)
    return up


def _differences(planes: np.ndarray, run: int) -> np.ndarray:
    """Return by how much the ends of each run differ from the slices around it more than these from each other (log).

    And more than slices do around there: the two sides of something symmetric are alike without a fault between them.
    """
    out = np.full(len(planes), -np.inf)

    def distance(lag: int) -> np.ndarray:
        return np.log(np.sqrt(np.square(planes[lag:] - planes[:-lag]).mean((1, 2))) + 0.003)

    step, across = distance(1), distance(run + 1)
    for k in range(2, len(planes) - run - 1):
        sides = np.median(step[max(k - 1 - AROUND, 0) : k - 1]), np.median(step[k + run : k + run + AROUND])
        out[k] = min(step[k - 1], step[k + run - 1]) - max(across[k - 1], *sides)
    return out


def steps(values: np.ndarray, run: int) -> np.ndarray:
    """Return by how much values step into each run from k on and back; nothing where they are steep, as where a body ends."""
    out = np.full(len(values), -np.inf)
    step = np.diff(values)
    beside = np.maximum(np.abs(step[:-2]), np.abs(step[2:]))
    sharp = np.where(beside < -np.log(FALL), np.abs(step[1:-1]) - beside, -np.inf)  # of the steps from slice 1 on
    for k in range(2, len(values) - run - 1):
        if step[k - 1] * step[k + run - 1] < 0:
            out[k] = min(sharp[k - 2], sharp[k + run - 2])
    return out


def empty_runs(planes: np.ndarray) -> np.ndarray:
    """Return the slices (indices) of empty runs of any length that a body goes into and comes out of as if cut.

    Where it tapers off to such a run, as one leg does before the other begins, the run is taken for air.
    """
    flat = planes.reshape(len(planes), -1)
    empty = flat.max(1) - flat.min(1) <= EMPTY
    full = np.flatnonzero(~empty)
    found: list[int] = []
    for i in np.flatnonzero(np.diff(full) > 1):
        run = np.arange(full[i] + 1, full[i + 1])
        content = np.abs(flat[full] - flat[run].mean()).mean(1)
        sides = [content[i - 1 : i + 1][::-1], content[i + 1 : i + 3]]  # what is next to the run first
        if all(len(side) == 2 and side[0] > max(FALL * side[1], 0.25 * np.median(content)) for side in sides):
            found += run.tolist()
    return np.array(found, dtype=int)


def _stacks(image: np.ndarray, spacing: Sequence[float]) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield each axis that slices may lie across, the slices, and which of them (indices) lie within what is in the image."""
    for axis in range(3) if max(spacing) < 1.3 * min(spacing) else [int(np.argmax(spacing))]:
        planes = np.moveaxis(np.asarray(image, dtype=np.float32), axis, 0)
        filled = np.flatnonzero((np.abs(planes) > 0.1).mean((1, 2)) > 0.03)
        if len(filled) and filled[-1] - filled[0] + 1 >= LEAST:
            yield axis, planes, np.arange(filled[0], filled[-1] + 1)


def find_uneven(image: np.ndarray, spacing: Sequence[float] = (1.0, 1.0, 1.0), threshold: float = 1.0) -> list[Uneven]:
    """Return interleaves of `image` (as for `find_spoiled`), at most one an axis, of another brightness than the rest.

    A slice is compared with both its neighbours by their products, which noise of mean 0 in any of them does not change.
    Which of two interleaves is at fault nobody can tell: the darker is taken, as signal is lost more often than won.
    """
    found = []
    for axis, planes, filled in _stacks(image, spacing):
        flat = planes[filled].reshape(len(filled), -1)
        before, middle, after = flat[:-2], flat[1:-1], flat[2:]
        fit = (middle * (before + after)).mean(1) / 2 / np.maximum((before * after).mean(1), 1e-6)
        ratio, uneven = np.log(np.clip(fit, 1e-3, 1e3)), Uneven(axis, 0, 0, 1.0, 1.0)
        for period in (2, 3):
            turn = filled[1:-1] % period
            level = np.array([np.median(ratio[turn == at]) for at in range(period)])
            others = (level.sum() - level) / (period - 1)
            first = int(np.argmin(level) if period == 2 else np.argmax(np.abs(level - others)))
            contrast = (level - others)[first]
            # of two, the others have the reverse of the gain; of three, (1 + gain) / (2 gain): one of these is beside each
            apart = np.exp(contrast)
            gain = float(apart**0.5 if period == 2 else (apart + np.sqrt(apart**2 + 8 * apart)) / 4)
            score = float(abs(np.log(gain)) / (LIMITS["interleave"][0] * threshold))
            alike = (np.diff(ratio, 2)[turn[1:-1] == first] * contrast < 0).mean()
            if alike > 0.8 and score > uneven.score and 1 / MOST < gain < MOST:
                uneven = Uneven(axis, first, period, gain, score)
        found += [uneven] if uneven.period else []
    return found


def find_spoiled(image: np.ndarray, spacing: Sequence[float] = (1.0, 1.0, 1.0), threshold: float = 1.0) -> list[Spoiled]:
    """Return the slices of `image` (X, Y, Z; robust maximum of order 1) that stand out from their neighbours.

    Slices are looked for across the axis of the largest spacing; of a scan whose spacings are all within 30 % of each
    other, across each axis. The first and the last slice with anything in it cannot be judged.

    Args:
        threshold: how often over its limit (`LIMITS`) a statistic must be; above 1 less is found, below 1 more.
    """
    found = []
    for axis, planes, filled in _stacks(image, spacing):
        empty = filled[empty_runs(planes[filled])]
        found += [Spoiled(axis, int(at), "empty", CERTAIN) for at in empty]
        pieces = _pieces(np.setdiff1d(filled, empty))
        while pieces:  # the worst is taken out and the rest looked at again, as if it had never been there
            left = pieces.pop()
            score, first, run, reason = worst(planes[left]) if len(left) >= LEAST else (0.0, 0, 0, "")
            if score > threshold:
                found += [Spoiled(axis, int(at), reason, score / threshold) for at in left[first : first + run]]
                pieces += _pieces(np.delete(left, np.arange(first, first + run)))
    return sorted(found)


def _pieces(left: np.ndarray) -> list[np.ndarray]:
    """Return slices cut where many are missing: what is far apart may well differ."""
    return np.split(left, np.flatnonzero(np.diff(left) > RUN + 1) + 1)


def worst(planes: np.ndarray) -> tuple[float, int, int, str]:
    """Return the run of slices that is most over its limit: how often, where it begins, its length, by which statistic."""
    found = [(0.0, 0, 1, "")]

    def note(run: int, height: np.ndarray, limit: float, name: str) -> None:
        at = int(np.argmax(height))
        found.append((float(height[at]) / limit, at, run, name))

    statistics = slice_statistics(planes)
    for name in SHARED:
        note(1, standing_alone(statistics.pop(name)), LIMITS[name][0], name)
    for run in range(1, RUN + 1):
        note(run, _differences(planes, run), LIMITS["difference"][0], "difference")
        for name, values in statistics.items():
            bend = np.diff(values, 2)
            unrest = UNREST * 1.4826 * float(np.median(np.abs(bend - np.median(bend))))
            for height, limit in zip(standing_out(values, run), LIMITS[name]):
                if limit is not None:
                    note(run, height, max(limit, unrest), name)
    for run in range(RUN + 1, LONG + 1):
        note(run, steps(statistics["brightness"], run), LIMITS["steps"][0], "brightness")
    return max(found)
