"""How well reading, inference and writing of a folder overlap:

    python -m tests.benchmarks.folder [--scans 6] [--side 128] [--bundle mr_denoise_vae] [--device cuda]

Prints the seconds of reading and writing alone, of the network alone, and of `medgen run` over the folder, and the ratios of
the last to the network and to the larger of the other two.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np

from medgen.batch.apply import apply
from medgen.batch.run import Options, run
from medgen.bundles import open_bundle
from medgen.scans import find, read, write_nifti
from tests.benchmarks.windows import phantom


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=6)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--bundle", default="mr_denoise_vae")
    parser.add_argument("--device")
    options = parser.parse_args()
    bundle = open_bundle(options.bundle, options.device)
    image = (1000 * phantom((options.side,) * 3)[0, 0].numpy()).astype(np.int16)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(options.scans):
            nib.save(nib.Nifti1Image(np.roll(image, number, 0), np.eye(4)), folder / f"scan{number}.nii.gz")
        cases = find(folder).cases
        todo = Options(folder / "out", overwrite=True)
        apply(bundle, read(cases[0]))  # what the engine measures of the network is measured once
        started = time.perf_counter()
        scans = [read(case) for case in cases]
        for number, scan in enumerate(scans):
            write_nifti(folder / "alone" / f"{number}.nii.gz", scan.image[0].numpy(), scan)
        files = time.perf_counter() - started
        started = time.perf_counter()
        for scan in scans:
            apply(bundle, scan)
        network = time.perf_counter() - started
        started = time.perf_counter()
        results = list(run(bundle, cases, todo))
        whole = time.perf_counter() - started
    if any(result.error for result in results):
        raise SystemExit("\n".join(str(result.error) for result in results if result.error))
    print(f"{options.scans} scans of {options.side}^3 on {bundle.device}: reading and writing {files:.1f} s, network {network:.1f} s, "
          f"medgen run {whole:.1f} s, {whole / network:.2f} times the network, {whole / max(files, network):.2f} times the larger")  # fmt: skip


if __name__ == "__main__":
    main()
