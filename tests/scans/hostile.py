"""What a hostile file may cost: next to no memory and time, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import resource, sys, time
from pathlib import Path
from medgen.scans import ScanError, read

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

before, began = peak(), time.perf_counter()
try:
    read(Path(sys.argv[1]), permissive=True, four_d=True)
except ScanError:
    print(peak() - before, time.perf_counter() - began)
"""


def assert_cheaply_refused(folder: Path) -> None:
    """Check that the one scan in a folder is refused within 5 seconds and 100 MB, even by permissive reading."""
    run = subprocess.run([sys.executable, "-c", CODE, str(folder)], capture_output=True, text=True, check=True)
    megabytes, seconds = map(float, run.stdout.split())
    assert megabytes < 100 and seconds < 5
