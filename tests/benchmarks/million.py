"""What a million scans would take, by a small run of a shipped bundle:

    python -m tests.benchmarks.million [--engine local|dask] [--scans 24] [--side 96] [--bundle mr_denoise_vae] [--workers 1]

Prints the processor, and what `medgen status OUT --extrapolate 1000000` prints after `medgen run` over phantoms of side^3; with
dask by workers that are processes here.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

from medgen.batch.speed import hardware
from tests.benchmarks.machines_memory import THREADS, processes
from tests.benchmarks.windows import phantom


def medgen(*arguments: object) -> str:
    """Return what a command prints. Raises SystemExit where it fails."""
    done = subprocess.run([sys.executable, "-m", "medgen.cli", *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=["local", "dask"], default="local")
    parser.add_argument("--scans", type=int, default=24)
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--bundle", default="mr_denoise_vae")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    image = (1000 * phantom((given.side,) * 3)[0, 0].numpy()).astype(np.int16)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(given.scans):
            nib.save(nib.Nifti1Image(np.roll(image, number, 0), np.eye(4)), folder / f"scan{number:03}.nii.gz")
        run = ("run", given.bundle, folder, "-o", folder / "out", "--device", "cpu")
        if given.engine == "dask":
            (folder / "dask").mkdir()
            with processes(folder / "dask", given.workers) as (file, _):
                medgen(*run, "--engine", "dask", "--scheduler", file)
        else:
            medgen(*run, "--workers", given.workers)
        on = hardware("cpu")
        threads = THREADS if given.engine == "dask" else os.environ.get("OMP_NUM_THREADS", on["cores"])
        print(f"{given.scans} phantoms of {given.side}^3, {given.bundle}, --engine {given.engine}, {given.workers} worker(s) of {threads} thread(s)\n"
              f"{on['processor']}, {on['cores']} cores, {on['memory_gib']} GiB, at a load of {on['load_before']}\n")  # fmt: skip
        print(medgen("status", folder / "out", "--extrapolate", 1000000))


if __name__ == "__main__":
    main()
