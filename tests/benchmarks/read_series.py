"""How fast and in how much memory a CT series of 300 slices is read, against bare pydicom and MONAI's PydicomReader.

    python -m tests.benchmarks.read_series [RUNS]

Each reading runs in a process of its own, all of them in turn, so that what else the machine does weighs on all alike.
Before the clock starts each process takes and returns 2 GB: a virtual machine whose host lends memory page by page needs
0.7 s for the first touch of a volume of 314 MB, twice as long as all the reading.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.scans.phantoms import save_series, series

SLICES, SIZE = 300, 512
COMMON = """
import resource, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
{prepare}
peak = lambda: int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024
import numpy
numpy.ones(2 << 30, numpy.uint8)
open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
before, start = peak(), time.perf_counter()
{work}
print(time.perf_counter() - start, peak() - before)
"""
READERS = {
    "bare pydicom": (
        "import pydicom, pydicom.pixels\npydicom.dcmread(min(folder.iterdir())).pixel_array",
        "for path in folder.iterdir():\n    pydicom.dcmread(path).pixel_array",
    ),
    "medgen": ("from medgen.scans import read", "scan = read(folder)\nassert scan.image.shape == (1, 512, 512, 300)"),
    "MONAI PydicomReader": (
        "from monai.data import PydicomReader",
        "reader = PydicomReader()\narray, meta = reader.get_data(reader.read(str(folder)))",
    ),
}


def make(folder: Path) -> None:
    """Write a CT of 300 slices, 512 x 512 int16."""
    noise = np.random.default_rng(0)
    slices = series(shape=(8, 8, SLICES), slope=lambda z: 1.0, intercept=lambda z: -1024.0)
    for ds in slices:
        ds.Rows = ds.Columns = SIZE
        ds.PixelData = noise.integers(0, 2000, (SIZE, SIZE), dtype=np.int16).tobytes()
    save_series(slices, folder)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in READERS}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "ct"
        make(folder)
        for _ in range(runs):
            for name, (prepare, work) in READERS.items():
                command = [sys.executable, "-W", "ignore", "-c", COMMON.format(prepare=prepare, work=work), str(folder)]
                seconds, megabytes = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
                found[name].append((float(seconds), float(megabytes)))
    volume = SLICES * SIZE * SIZE * 4 / 2**20
    bare, own, monai = ([seconds for seconds, _ in found[name]] for name in READERS)
    for name, values in found.items():
        print(f"{name:20} {statistics.median(s for s, _ in values):6.2f} s {statistics.median(m for _, m in values):7.0f} MB")
    memory = statistics.median(m for _, m in found["medgen"])
    print(f"medgen / bare pydicom: {statistics.median(a / b for a, b in zip(own, bare)):.2f} (at most 1.2)")
    print(f"MONAI / medgen:        {statistics.median(a / b for a, b in zip(monai, own)):.2f} (at least 4)")
    print(f"memory / volume:       {memory / volume:.2f} (at most 1.3)")


if __name__ == "__main__":
    main()
