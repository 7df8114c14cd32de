"""What a hostile file may cost: next to no memory and time, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

#: Each file in a process of its own, forked when all is imported: a peak of one would hide that of the next.
CODE = """
import multiprocessing, resource, sys, time
from pathlib import Path
import pydicom.pixels
from medgen.scans import ScanError, find, read

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def cost(folder):
    before, began = peak(), time.perf_counter()
    cases, errors, _ = find(Path(folder))
    for case in cases:
        try:
            read(case, permissive=True, four_d=True)
        except ScanError as error:
            errors.append(error)
    return (peak() - before, time.perf_counter() - began) if errors else (float("nan"), float("nan"))

with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
    for costs in pool.imap(cost, sys.argv[1:]):
        print(*costs)
"""


def costs_of_refusing(folders: Iterable[Path]) -> list[tuple[float, float]]:
    """Return what reading each folder's scans costs, permissively: MB and seconds; NaN where none is refused even so."""
    run = subprocess.run([sys.executable, "-c", CODE, *map(str, folders)], capture_output=True, text=True, check=True)
    return [(float(megabytes), float(seconds)) for megabytes, seconds in map(str.split, run.stdout.splitlines())]
