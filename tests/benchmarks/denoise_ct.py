"""Low-dose CT of held-out scans against what a user would pick instead, all in one run, and edges on a phantom:

    python -m tests.benchmarks.denoise_ct --data DIR [--photons 3e4 1e4 3e3] [--slices 12] [-o results.json]

DIR holds ct/ and dicom/ of scans that nothing was trained on. Noise of so many photons a detector element is simulated in
the projection domain (`medgen.transforms.degrade.projection_noise`) for whole slices; a central box of 128x128 voxels is
denoised. BM4D and non-local means are told the noise's standard deviation in the box, the Gaussian filter has the best of
nine widths for each case, medgen is told nothing. PSNR and SSIM inside the body, data range 2000 HU; the mean HU of tissues
before and after; the modulation of bars that is left in a water phantom with the same noise.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

from medgen.batch.apply import apply
from medgen.bundles import Bundle, open_bundle
from medgen.evaluation.image_quality import psnr, ssim
from medgen.scans import Scan
from medgen.transforms.degrade import projection_noise
from tests.benchmarks import denoise, numbers
from tests.benchmarks.denoise import SIGMAS, report
from tests.benchmarks.enhance import TISSUES, load_ct
from tests.benchmarks.worst import Worst

SPAN = 2000.0
Denoise = Callable[[np.ndarray, float, np.ndarray, np.ndarray], np.ndarray]


def methods() -> dict[str, Denoise]:
    """Return f(noisy, sigma, truth, mask) by name; only the Gaussian filter looks at the truth, to choose its width."""

    def best_gaussian(noisy: np.ndarray, sigma: float, truth: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return max((gaussian_filter(noisy, s) for s in SIGMAS), key=lambda image: psnr(image, truth, SPAN, mask))

    def nlm(noisy: np.ndarray, sigma: float, truth: np.ndarray, mask: np.ndarray) -> np.ndarray:
        from dipy.denoise.nlmeans import nlmeans

        shifted = noisy - noisy.min()  # it treats 0 as background
        out = nlmeans(shifted, sigma=sigma, rician=False, patch_radius=1, block_radius=2, num_threads=2, method="classic")
        return out + noisy.min()

    def bm4d(noisy: np.ndarray, sigma: float, truth: np.ndarray, mask: np.ndarray) -> np.ndarray:
        from bm4d import bm4d as denoise

        low, high = float(noisy.min()), float(noisy.max())
        return (denoise((noisy - low) / (high - low), sigma / (high - low)) * (high - low) + low).astype(np.float32)

    return {"gaussian": best_gaussian, "nlm": nlm, "bm4d": bm4d}


def medgen(bundle: Bundle, noisy: np.ndarray, uncertainty: bool = False) -> dict[str, np.ndarray]:
    """Return what `medgen run` makes of the image, and its uncertainty."""
    image = MetaTensor(torch.from_numpy(noisy.astype(np.float32))[None], affine=torch.eye(4, dtype=torch.float64))
    return apply(bundle, Scan(image, "HU", "CT", np.dtype(np.float32), Path("scan"), ""), uncertainty=uncertainty).images


def phantom(side: int = 192, slices: int = 12) -> tuple[np.ndarray, dict[int, tuple[slice, slice]]]:
    """Return a water disc with bars of 200 HU along X, and the field of each period (voxels)."""
    x, y = np.ogrid[:side, :side]
    image = np.where((x - side / 2) ** 2 + (y - side / 2) ** 2 < (0.45 * side) ** 2, 0.0, -1000.0)
    fields = {}
    for number, period in enumerate((4, 6, 8, 12, 16)):
        field = slice(72, 72 + 48), slice(48 + 20 * number, 60 + 20 * number)
        image[field] = 100 * np.sin(2 * np.pi * np.arange(48) / period)[:, None]
        fields[period] = field
    return np.repeat(image[..., None], slices, 2).astype(np.float32), fields


def modulation(image: np.ndarray, field: tuple[slice, slice], period: int) -> float:
    """Return the amplitude of the bars in the middle slices, of 100 HU."""
    bars = image[field][..., 3:-3].mean((1, 2))
    return float(2 * np.abs(np.mean(bars * np.exp(-2j * np.pi * np.arange(len(bars)) / period))) / 100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", default="ct_denoise_vae")
    parser.add_argument("--photons", type=float, nargs="+", default=[3e4, 1e4, 3e3])
    parser.add_argument("--slices", type=int, default=12)
    parser.add_argument("--failure", type=Path, help="draw the failure case here")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    bundle, others = open_bundle(options.bundle), methods()
    rows: list[dict[str, Any]] = []
    worst = Worst()
    for case in load_ct(options.data):
        middle = max(case["image"].shape[2] // 2 - options.slices // 2, 0)
        whole = case["image"][..., middle : middle + options.slices]
        first, second = projection_noise(whole, case["mm"][0], np.random.RandomState(0))
        box = tuple(slice(max(n // 2 - 64, 0), n // 2 + 64) for n in whole.shape[:2])
        truth, mask = whole[box].astype(np.float32), whole[box] > -950
        for photons in options.photons:
            noise = (first / np.sqrt(photons) + 5 / photons * second)[box]
            noisy, sigma = (truth + noise).astype(np.float32), float(noise[mask].std())
            images = {"noisy": (noisy, 0.0)}
            for name, function in {"medgen": lambda n, *_: medgen(bundle, n)[""], **others}.items():
                started = time.perf_counter()
                images[name] = (np.asarray(function(noisy, sigma, truth, mask), dtype=np.float32), time.perf_counter() - started)
            gains = {name: psnr(image, truth, SPAN, mask) for name, (image, _) in images.items()}
            best = max(others, key=gains.__getitem__)
            worst.offer(gains["medgen"] - gains[best], f"{case['name']}, {photons:g} photons",
                        {"truth": truth, "noisy": noisy, best: images[best][0], "medgen": images["medgen"][0]},
                        np.diag([*case["mm"], 1.0]), (-160, 240))  # fmt: skip
            for name, (image, seconds) in images.items():
                shifts = {t: float((image - truth)[(truth >= a) & (truth <= b)].mean()) for t, (a, b) in TISSUES.items()
                          if ((truth >= a) & (truth <= b)).sum() > 500}  # fmt: skip
                rows.append({"case": case["name"], "group": case["name"], "level": photons, "method": name, "seconds": seconds, "shifts": shifts,
                             "psnr": psnr(image, truth, SPAN, mask), "ssim": ssim(image, truth, SPAN, mask)})  # fmt: skip
            deviation, error = medgen(bundle, noisy, True)["uncertainty"][mask], np.abs(images["medgen"][0] - truth)[mask]
            spearman, covered = float(spearmanr(deviation, error).statistic), float((error <= 1.645 * deviation).mean())
            print(f"{case['name']}, {photons:g} photons, sigma {sigma:.0f} HU: " + ", ".join(
                f"{r['method']} {r['psnr']:.2f} dB {r['ssim']:.3f}" for r in rows[-len(images):])
                + f"; uncertainty: Spearman {spearman:.2f}, 90 % interval covers {covered:.1%}", flush=True)  # fmt: skip
    report(rows, list(others), "photons")
    worst.write(options.failure)
    for name in ("noisy", *others, "medgen"):
        found = {t: [r["shifts"][t] for r in rows if r["method"] == name and t in r["shifts"]] for t in TISSUES}
        print(f"{name}: mean HU error (largest) " + ", ".join(f"{t} {np.mean(v):+.1f} ({max(map(abs, v)):.1f})" for t, v in found.items() if v))
    bars, fields = phantom()
    first, second = projection_noise(bars, 1.4, np.random.RandomState(1))
    for photons in options.photons:
        noise = first / np.sqrt(photons) + 5 / photons * second
        noisy, sigma = (bars + noise).astype(np.float32), float(noise[bars > -500].std())
        for name, image in {"noisy": noisy, "medgen": medgen(bundle, noisy)[""], "nlm": others["nlm"](noisy, sigma, bars, bars > -500),
                            "gaussian 1": gaussian_filter(noisy, 1.0)}.items():  # fmt: skip
            print(f"bars of 200 HU, {photons:g} photons (sigma {sigma:.0f} HU), {name}: " + ", ".join(
                f"{period} voxels {modulation(image, field, period):.2f}" for period, field in fields.items()))  # fmt: skip
    if options.output:
        numbers.write(options.output, "denoise_ct", bundle, rows)


def table(rows: list[dict[str, Any]]) -> str:
    """Return the table by scan and dose as Markdown: PSNR in dB / SSIM."""
    return denoise.table(rows, "photons").replace("| contrast | noise |", "| scan | dose |", 1)


if __name__ == "__main__":
    main()
