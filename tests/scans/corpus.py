"""The corpus of awkward inputs with known truth: what each holds, and whether it must be read right or refused.

    python -m tests.scans.corpus DIR     # writes every input into a folder of its own, and prints what is expected

Every voxel's value is a linear function of its place (`tests.scans.phantoms`), so no reference reader is needed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Truth:
    """A volume that must come out: its RAS affine, its shape, and for 4D what each volume adds to the phantom's values."""

    affine: np.ndarray
    shape: tuple[int, int, int]
    added: tuple[float, ...] = (0.0,)
    tolerance: float = 0.05  #: of the values; rounding to the stored step


@dataclass(frozen=True)
class Entry:
    """One input. Either `volumes` (it must be read right) or `refused` (it must be refused for this reason).

    Attributes:
        make: writes the input into a new folder.
        volumes: all volumes that must come out, in any order.
        refused: a regular expression that the reason of at least one error must match; whatever else is read from the
            folder must be right.
        permissive: what must come out with ``permissive=True`` of what is refused otherwise; empty: refused all the same.
        four_d: read with ``four_d=True``.
        warns: a regular expression that a warning of the scan must match, where it must have one.
    """

    make: Callable[[Path], object]
    volumes: tuple[Truth, ...] = ()
    refused: str = ""
    permissive: tuple[Truth, ...] = ()
    four_d: bool = False
    warns: str = ""


def entries() -> dict[str, Entry]:
    """Return the whole corpus by name."""
    from tests.scans import corpus_dicom, corpus_itk, corpus_nifti

    return {**corpus_dicom.ENTRIES, **corpus_nifti.ENTRIES, **corpus_itk.ENTRIES}


def main() -> None:
    target = Path(sys.argv[1])
    for name, entry in entries().items():
        entry.make(target / name)
        print(f"{name}: " + (f"refused: {entry.refused}" if entry.refused else f"{len(entry.volumes)} volume(s) right"))
    print(f"{len(entries())} inputs")


if __name__ == "__main__":
    main()
