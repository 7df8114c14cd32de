"""Denoising of held-out MR against what a user would pick instead, all in one run:

    python -m tests.benchmarks.denoise --data DIR [--levels 5 10 20] [--full] [-o results.json]

DIR holds brain_t1/, brain_multicontrast/ and mr_other/ of scans that nothing was trained on. Each scan, scaled by its
robust maximum (99.5th percentile above zero), gets Rician noise of 5, 10 and 20 % of it. By default a central box of
each head is used, since BM4D takes minutes for a whole one. PSNR and SSIM inside the head, data range 1.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from scipy.ndimage import binary_fill_holes, center_of_mass, gaussian_filter, label
from scipy.stats import spearmanr

from medgen.bundles import open_bundle
from medgen.evaluation.image_quality import psnr, ssim
from medgen.evaluation.statistics import summarise
from medgen.scans import find, read
from medgen.transforms.degrade import rician_noise
from tests.benchmarks import numbers
from tests.benchmarks.rician_vst import RicianVST
from tests.benchmarks.worst import Worst

CONTRASTS = ("T1POST", "FLAIR", "T2", "T1")
SIGMAS = (0.35, 0.45, 0.55, 0.65, 0.75, 0.9, 1.1, 1.3, 1.6)  #: the Gaussian filter gets the best of these for each case


def subject_of(name: str) -> str:
    """Return whose a held-out scan is, by its name: cs_patient26 of cs_patient26_T1_MNI."""
    return re.sub(r"_(T1POST|T1|T2|FLAIR|lesion).*", "", name)


def load(folder: Path, box: tuple[int, int, int] | None) -> list[dict[str, Any]]:
    """Return name, contrast, image (robust maximum 1) and head mask of every held-out MR scan."""
    cases = []
    for case in find([folder / name for name in ("brain_t1", "brain_multicontrast", "mr_other")])[0]:
        if any(mark in case.name for mark in ("DLMUSE", "lesion")):
            continue
        scan = read(case)
        image = np.asarray(scan.image[0]).clip(min=0)
        image = image / np.percentile(image[image > 0], 99.5)
        parts, _ = label(image > 0.1)
        mask = parts == np.argmax(np.bincount(parts.ravel())[1:]) + 1
        for axis in range(3):  # holes in any plane: sinuses, ventricles
            mask = np.stack([binary_fill_holes(plane) for plane in np.moveaxis(mask, axis, 0)], axis)
        if box is not None:
            middle = [round(c) for c in center_of_mass(mask)]
            starts = [int(np.clip(m - b // 2, 0, max(n - b, 0))) for m, b, n in zip(middle, box, image.shape)]
            window = tuple(slice(s, s + b) for s, b in zip(starts, box))
            image, mask = image[window], mask[window]
        contrast = next((c for c in CONTRASTS if f"_{c}" in case.name), "T1")
        spacing = "x".join(f"{v:.2g}" for v in scan.spacing)
        group = f"{contrast} head 2 mm" if "IXI" in case.name else f"{contrast} brain 1 mm" if "MNI" in case.name or "cstar" in case.name else f"{contrast} other"
        cases.append({"name": case.name, "group": group, "spacing": spacing, "mm": scan.spacing, "affine": scan.image.affine.numpy(), "image": image, "mask": mask})
    return cases


def methods(names: list[str]) -> dict[str, Callable[[np.ndarray, float, np.ndarray, np.ndarray], np.ndarray]]:
    """Return f(noisy, sigma, truth, mask) by name; only the Gaussian filter looks at the truth, to choose its width."""
    vst = RicianVST()

    def best_gaussian(noisy: np.ndarray, sigma: float, truth: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return max((gaussian_filter(noisy, s) for s in SIGMAS), key=lambda image: psnr(image, truth, 1.0, mask))

    def nlm(noisy: np.ndarray, sigma: float, truth: np.ndarray, mask: np.ndarray) -> np.ndarray:
        from dipy.denoise.nlmeans import nlmeans

        # its default, method="blockwise", leaves an image worse than the noisy one
        return nlmeans(noisy, sigma=sigma, rician=True, patch_radius=1, block_radius=2, num_threads=2, method="classic")

    def bm4d(noisy: np.ndarray, sigma: float, truth: np.ndarray, mask: np.ndarray) -> np.ndarray:
        from bm4d import bm4d as denoise

        stable = vst.forward(noisy, sigma)
        scale = float(stable.max())
        return vst.inverse(denoise(stable / scale, 1.0 / scale) * scale, sigma).astype(np.float32)

    chosen = {"gaussian": best_gaussian, "nlm": nlm, "bm4d": bm4d}
    return {name: function for name, function in chosen.items() if name in names}


class Medgen:
    """The bundle as `medgen run` uses it: its own normalisation, inferer and weights."""

    def __init__(self, name: str) -> None:
        self.bundle = open_bundle(name)
        self.network, self.inferer = self.bundle.network, self.bundle.get("inferer")

    def _apply(self, noisy: np.ndarray, function: Callable[[torch.Tensor], torch.Tensor]) -> np.ndarray:
        image = MetaTensor(torch.from_numpy(noisy.astype(np.float32))[None])
        data = self.bundle.get("normalisation")({"image": image})
        out = self.inferer(data["image"].as_tensor()[None].to(self.bundle.device), function)[0].cpu()
        return self.bundle.get("denormalisation")({"image": data["image"], "pred": MetaTensor(out)})["pred"][0].numpy()

    def __call__(self, noisy: np.ndarray, *_: object) -> np.ndarray:
        return self._apply(noisy, self.network)

    def uncertainty(self, noisy: np.ndarray) -> np.ndarray:
        """Return the standard deviation map (the normalisation has no shift)."""
        return self._apply(noisy, partial(self.network.uncertainty, samples=8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", default="mr_denoise_vae")
    parser.add_argument("--levels", type=float, nargs="+", default=[5, 10, 20])
    parser.add_argument("--box", type=int, nargs=3, default=[88, 88, 56])
    parser.add_argument("--full", action="store_true", help="whole heads instead of a box")
    parser.add_argument("--methods", nargs="*", default=["gaussian", "nlm", "bm4d"], help="others to compare with")
    parser.add_argument("--limit", type=int, default=None, help="the first N scans only")
    parser.add_argument("--failure", type=Path, help="draw the failure case here")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    cases = load(options.data, None if options.full else tuple(options.box))[: options.limit]
    medgen = Medgen(options.bundle)
    medgen(cases[0]["image"])  # warm
    others = methods(options.methods)
    rows: list[dict[str, Any]] = []
    worst = Worst()
    for number, case in enumerate(cases):
        truth, mask = case["image"].astype(np.float32), case["mask"]
        clean = psnr(medgen(truth), truth, 1.0, mask)
        rows.append({"case": case["name"], "group": case["group"], "level": 0, "method": "medgen", "psnr": clean})
        for level in options.levels:
            sigma = level / 100
            noisy = rician_noise(truth, sigma, np.random.RandomState(number)).astype(np.float32)
            images = {"noisy": (noisy, 0.0)}
            for name, function in {"medgen": medgen, **others}.items():
                started = time.perf_counter()
                image = np.asarray(function(noisy, sigma, truth, mask), dtype=np.float32)
                images[name] = (image, time.perf_counter() - started)
            for name, (image, seconds) in images.items():
                row = {"case": case["name"], "group": case["group"], "level": level, "method": name, "seconds": seconds}
                rows.append({**row, "psnr": psnr(image, truth, 1.0, mask), "ssim": ssim(image, truth, 1.0, mask)})
            gains = {row["method"]: row["psnr"] for row in rows[-len(images):]}
            best = max((name for name in gains if name != "medgen"), key=gains.__getitem__)
            shown = {"truth": truth, "noisy": noisy, best: images[best][0], "medgen": images["medgen"][0]}
            worst.offer(gains["medgen"] - gains[best], f"{case['name']}, {level:g} %", shown, case["affine"], (0, 1))
            deviation = medgen.uncertainty(noisy)[mask]
            error = np.abs(images["medgen"][0] - truth)[mask]
            rows[-len(images) + 1] |= {
                "spearman": float(spearmanr(deviation, error).statistic),
                "covered": float((error <= 1.645 * deviation).mean()),
            }
            print(f"{case['name']} {case['spacing']} mm, {level:g} %: " + ", ".join(
                f"{r['method']} {r['psnr']:.2f} dB {r['ssim']:.3f}" for r in rows[-len(images):]), flush=True)  # fmt: skip
    report(rows, list(others))
    worst.write(options.failure)
    if options.output:
        numbers.write(options.output, "denoise", medgen.bundle, rows)


def table(rows: list[dict[str, Any]], unit: str = "%") -> str:
    """Return the table by contrast and level as Markdown: PSNR in dB / SSIM, means over scans."""
    noisy = [row for row in rows if row["level"]]
    names = ["noisy", *(name for name in dict.fromkeys(row["method"] for row in noisy) if name not in ("noisy", "medgen")), "medgen"]
    titles = [{"gaussian": "best Gaussian", "nlm": "NLM", "bm4d": "BM4D"}.get(name, name) for name in names]
    lines = ["| contrast | noise | n | " + " | ".join(titles) + " |", "|---" * (len(names) + 3) + "|"]
    for group, level in sorted({(row["group"], row["level"]) for row in noisy}):
        some = {name: [r for r in noisy if (r["group"], r["level"], r["method"]) == (group, level, name)] for name in names}
        cells = [f"{np.mean([r['psnr'] for r in found]):.2f} / {np.mean([r['ssim'] for r in found]):.3f}" for found in some.values()]
        lines.append(f"| {group} | {level:g} {unit} | {len(some['medgen'])} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def report(rows: list[dict[str, Any]], others: list[str], unit: str = "%") -> None:
    """Print the tables as Markdown."""
    names = ["noisy", *others, "medgen"]
    levels = sorted({r["level"] for r in rows if r["level"]})
    for metric, digits in (("psnr", 2), ("ssim", 3)):
        print(f"\n{metric.upper()} inside the head\n\n| contrast | noise | n | " + " | ".join(names) + " |")
        print("|---" * (3 + len(names)) + "|")
        for group in sorted({r["group"] for r in rows}):
            for level in levels:
                chosen = {m: [r[metric] for r in rows if (r["group"], r["level"], r["method"]) == (group, level, m)] for m in names}
                cells = [f"{np.mean(v):.{digits}f}" for v in chosen.values()]
                print(f"| {group} | {level:g} {unit} | {len(chosen['medgen'])} | " + " | ".join(cells) + " |")
    value = {(r["case"], r["level"], r["method"], m): r[m] for r in rows if r["level"] for m in ("psnr", "ssim")}
    keys = [(c, lv) for c, lv, method, metric in value if (method, metric) == ("medgen", "psnr")]
    print()
    for other in others:
        gain = {m: [value[c, lv, "medgen", m] - value[c, lv, other, m] for c, lv in keys] for m in ("psnr", "ssim")}
        by_case = [float(np.mean([g for g, (c, _) in zip(gain["psnr"], keys) if c == case])) for case in {c for c, _ in keys}]
        s = summarise(sorted(by_case))
        between = "" if s["low"] is None else f" [{s['low']:.2f}, {s['high']:.2f}]"
        wins = [sum(g > 0 for g in gain[m]) for m in ("psnr", "ssim")]
        print(f"medgen above {other}: {s['mean']:+.2f} dB{between} (mean of {s['n']} scans, 95 % bootstrap interval); "
              f"PSNR in {wins[0]} and SSIM in {wins[1]} of {len(keys)} cases")  # fmt: skip
    seconds = {m: sum(r["seconds"] for r in rows if r["level"] and r["method"] == m) for m in [*others, "medgen"]}
    print("seconds: " + ", ".join(f"{m} {s:.1f} ({s / seconds['medgen']:.0f}x)" for m, s in seconds.items()))
    clean = [r["psnr"] for r in rows if not r["level"]]
    if not clean:
        return
    print(f"clean input against its output: {min(clean):.1f} to {max(clean):.1f} dB, mean {np.mean(clean):.1f}, n={len(clean)}")
    for level in levels:
        mine = [r for r in rows if r["level"] == level and r["method"] == "medgen"]
        rho, covered = ([r[key] for r in mine] for key in ("spearman", "covered"))
        print(f"uncertainty at {level:g} %: Spearman with |error| {np.mean(rho):.2f} ({min(rho):.2f} to {max(rho):.2f}); "
              f"90 % interval covers {np.mean(covered):.1%} ({min(covered):.1%} to {max(covered):.1%}) of voxels, n={len(mine)}")  # fmt: skip


if __name__ == "__main__":
    main()
