"""3D SSIM beside MONAI and scikit-image: equal value, time and memory, in one run.

    python -m tests.benchmarks.ssim [--shape 184 224 184] [--repeats 3]

Each runs in a process of its own, in turns, with the threads that it takes by itself; the least wall time counts, as another
busy program only ever adds to it. Memory is the peak over what the two float32 volumes take, in volumes of float32.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

NAMES = ("medgen", "monai", "scikit-image")
WORK = """
import json, sys, time
import numpy as np

name, shape = sys.argv[1], tuple(map(int, sys.argv[2:]))
random = np.random.default_rng(0)
grid = np.indices(shape, dtype=np.float32).sum(0)
reference = (0.5 + 0.4 * np.sin(grid / 7)).astype(np.float32)
candidate = (reference + 0.05 * random.standard_normal(shape, dtype=np.float32))
del grid
if name == "medgen":
    from medgen.evaluation.image_quality import ssim
    measure = lambda: ssim(candidate, reference, 1.0)
elif name == "monai":
    import torch
    from monai.metrics import SSIMMetric
    measure = lambda: float(SSIMMetric(3, data_range=1.0)(torch.from_numpy(candidate)[None, None], torch.from_numpy(reference)[None, None]))
else:
    from skimage.metrics import structural_similarity
    measure = lambda: float(structural_similarity(
        candidate, reference, data_range=1.0, gaussian_weights=True, use_sample_covariance=False))

def peak(word):
    return 1024 * next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(word))

open("/proc/self/clear_refs", "w").write("5")  # the peak starts anew
before = peak("VmRSS")
started = time.perf_counter()
value = measure()
print(json.dumps({"value": value, "seconds": time.perf_counter() - started, "volumes": (peak("VmHWM") - before) / reference.nbytes}))
"""


def run(name: str, shape: list[int]) -> dict[str, float]:
    """Measure once in a new process."""
    done = subprocess.run([sys.executable, "-c", WORK, name, *map(str, shape)], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=[184, 224, 184])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in NAMES}
    for _ in range(options.repeats):
        for name in NAMES:
            runs[name].append(run(name, options.shape))
    mine = min(r["seconds"] for r in runs["medgen"])
    print(f"3D SSIM of {'x'.join(map(str, options.shape))}, the least of {options.repeats} runs")
    print("| | value | seconds | times medgen's | peak memory (volumes) |\n|---|---|---|---|---|")
    for name, found in runs.items():
        seconds, memory = min(r["seconds"] for r in found), max(r["volumes"] for r in found)
        print(f"| {name} | {found[0]['value']:.7f} | {seconds:.2f} | {seconds / mine:.1f} | {memory:.1f} |")


if __name__ == "__main__":
    main()
