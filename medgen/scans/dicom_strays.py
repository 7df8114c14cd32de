"""Slices that were split off a volume: what is read then lacks them, and must say so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medgen.scans.dicom_frames import Frame
from medgen.scans.dicom_volumes import APART, CONTRAST, Volume

#: What may have split a slice off, in the order in which it is told.
DIFFER = (*APART, *(word for words in CONTRAST for word in words), "Rows", "Columns", "ImageOrientationPatient")


def strays(stacks: Sequence[Volume]) -> list[str]:
    """Return for each volume a note of the slices that continue it, of another volume at most half its size, or "".

    One damaged word in a header makes a slice a scan of its own, which is refused. In the middle of a volume it leaves a
    gap; at its end nothing but its place tells that it belongs there: the next one, on the line and at the distance of
    the others.
    """
    notes = [""] * len(stacks)
    most = max(map(len, stacks), default=0)
    small = [(place, frame, len(stack)) for stack in stacks if 2 * len(stack) <= most
             for frame in stack if (place := _place(frame)) is not None]  # fmt: skip
    if not small:
        return notes
    places = np.array([place for place, _, _ in small])
    sizes = np.array([size for _, _, size in small])
    for k, stack in enumerate(stacks):
        own = [place for frame in stack if (place := _place(frame)) is not None]
        if len(own) < 3 or len(own) < len(stack):
            continue
        line = np.array(own)[np.argsort(np.array(own) @ (np.array(own[-1]) - own[0]))]
        step = (line[-1] - line[0]) / (len(line) - 1)
        beyond = np.stack([places - (line[0] - step), places - (line[-1] + step)])
        near = (np.linalg.norm(beyond, axis=2).min(0) < 0.05 * np.linalg.norm(step)) & (2 * sizes <= len(stack))
        if near.any():
            other = small[int(np.flatnonzero(near)[0])][1]
            what = next((word for word in DIFFER if other.text(word) != stack[0].text(word)), "something")
            notes[k] = f"may lack slices: one that continues it differs in {what}, and is not part of it"
    return notes


def _place(frame: Frame) -> tuple[float, ...] | None:
    try:
        place = frame.numbers("ImagePositionPatient")
    except ValueError:
        return None
    return place if len(place) == 3 and np.isfinite(place).all() else None
