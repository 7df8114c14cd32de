"""The Fréchet distance of 2,048 features beside that by scipy's matrix square root: equal value, and time, in one run.

    python -m tests.benchmarks.frechet [--features 2048] [--images 500 1000 2048]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy.linalg import sqrtm

from medgen.evaluation.distribution import frechet_distance


def by_scipy(first: np.ndarray, second: np.ndarray) -> float:
    """Return the distance as most programs have it: by covariances and the square root of their product."""
    a, b = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    root = np.real(sqrtm(a @ b))
    return float(np.sum((first.mean(0) - second.mean(0)) ** 2) + np.trace(a) + np.trace(b) - 2 * np.trace(root))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, default=2048)
    parser.add_argument("--images", type=int, nargs="+", default=[500, 1000, 2048])
    options = parser.parse_args()
    print("| images of each set | medgen, s | scipy, s | times faster | relative difference |\n|---|---|---|---|---|")
    for count in options.images:
        rng = np.random.default_rng(0)
        mix = rng.standard_normal((options.features, options.features)) / np.sqrt(options.features)
        sets = [rng.standard_normal((count, options.features)) @ mix + shift for shift in (0, 0.1)]
        found = []
        for method in (frechet_distance, by_scipy):
            started = time.perf_counter()
            found.append((method(*sets), time.perf_counter() - started))
        (mine, quick), (theirs, slow) = found
        print(f"| {count} | {quick:.2f} | {slow:.1f} | {slow / quick:.0f} | {abs(mine - theirs) / theirs:.1e} |", flush=True)


if __name__ == "__main__":
    main()
