"""Thick slices made fine again, on held-out scans with known truth, against interpolation, all in one run:

    python -m tests.benchmarks.enhance --data DIR [--bundle mr_enhance_gan] [--factors 2 3 4] [--noise 0] [-o results.json]

DIR holds scans that nothing was trained on (brain_t1/, brain_multicontrast/, mr_other/; for a CT bundle ct/ and dicom/).
Of each scan the middle is taken (--box), and acquired in slices so many times thicker than its finest axis (Gaussian profile for MR, box for
CT, whose slices are taken to be as fine as the plane; --noise adds
Gaussian noise of that per cent), brought back by linear and by cubic B-spline interpolation, by kriging (the bundle's own
start) and by the bundle at several strengths. PSNR and SSIM inside the body; data range: the robust maximum for MR, 2000 HU
for CT. For CT, the mean HU of air, fat, soft tissue and bone, before and after. Last, a Frechet distance to the true fine scans:
of what the trunk of mr_denoise_vae, which no result was trained against, sees in patches of 16 voxels a side.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from scipy.ndimage import map_coordinates

from medgen.batch.apply import apply
from medgen.bundles import Bundle, open_bundle
from medgen.evaluation.distribution import frechet_distance
from medgen.evaluation.image_quality import psnr, ssim
from medgen.evaluation.statistics import summarise
from medgen.scans import Scan, ScanError, find, read
from medgen.transforms.slices import kriging, slice_matrix
from tests.benchmarks import numbers
from tests.benchmarks.denoise import load, subject_of
from tests.benchmarks.worst import Worst

TISSUES = {"air": (-1100, -900), "fat": (-130, -60), "soft": (0, 100), "bone": (200, 1500)}  #: HU of the truth


def load_ct(folder: Path) -> list[dict[str, Any]]:
    """Return name, spacing, image (HU) and body mask of every held-out CT."""
    cases = []
    for case in find([folder / "ct", folder / "dicom"])[0]:
        try:
            scan = read(case)
        except ScanError:
            continue
        image = np.asarray(scan.image[0])
        if case.name.endswith("_seg") or image.min() > -500:
            continue
        cases.append({"name": case.name, "group": "CT", "mm": scan.spacing, "image": image.clip(-1024, 3000), "mask": image > -950})
    return cases


def finest(mm: Sequence[float]) -> int:
    """Return the axis of the least spacing, the last of equals: the one that is acquired in thick slices."""
    return 2 - int(np.argmin(mm[::-1]))


def acquire(case: dict[str, Any], factor: int, profile: str, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[float]] | None:
    """Return truth, mask and slices with the slice axis last, and the slices' voxel size; None where another axis is coarser."""
    mm = list(case["mm"])
    axis = finest(mm)
    if case["group"] != "CT" and factor * mm[axis] < max(mm) * 0.999:  # few CTs have slices that thin
        return None
    truth, mask = (np.moveaxis(case[key], axis, -1) for key in ("image", "mask"))
    count = truth.shape[-1] // factor
    truth, mask = truth[..., : count * factor], mask[..., : count * factor]
    matrix = slice_matrix(count * factor, factor, factor, (factor - 1) / 2, count, profile)
    thick = (truth @ matrix.T).astype(np.float32)
    thick += np.float32(noise) * np.random.RandomState(0).standard_normal(thick.shape).astype(np.float32)
    return truth, mask, thick, [mm[axis], mm[axis], mm[axis] * factor]  # as if the plane were as fine, so that the factor is


def methods(bundles: dict[str, Bundle], factor: int, mm: list[float], profile: str) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Return what brings slices to the fine grid, by name."""

    def spline(order: int) -> Callable[[np.ndarray], np.ndarray]:
        def interpolate(thick: np.ndarray) -> np.ndarray:
            x, y, z = np.meshgrid(*(np.arange(n, dtype=float) for n in (*thick.shape[:2], thick.shape[2] * factor)), indexing="ij")
            return map_coordinates(thick, [x, y, (z - (factor - 1) / 2) / factor], order=order, mode="nearest")

        return interpolate

    def krige(thick: np.ndarray) -> np.ndarray:
        count = thick.shape[2]
        return thick @ kriging(slice_matrix(count * factor, factor, factor, (factor - 1) / 2, count, profile)).T.astype(np.float32)

    def medgen(bundle: Bundle) -> Callable[[np.ndarray], np.ndarray]:
        def run(thick: np.ndarray) -> np.ndarray:
            known = bundle.get("inferer")._known
            bundle.settings["spacing"] = mm[2] / factor
            bundle.__dict__.pop("_parser", None)
            bundle.get("inferer")._known = known  # what was measured of the network
            image = MetaTensor(torch.from_numpy(thick)[None], affine=torch.diag(torch.tensor([*mm, 1.0], dtype=torch.float64)))
            scan = Scan(image, "arbitrary", "", np.dtype(np.float32), Path("scan"), "")
            return apply(bundle, scan).images[""]

        return run

    return {"linear": spline(1), "cubic": spline(3), "kriging": krige, **{name: medgen(b) for name, b in bundles.items()}}


class Patches:
    """Mean and standard deviation of each of a denoiser's finest features, over patches of 16 voxels a side."""

    def __init__(self) -> None:
        self.trunk = open_bundle("mr_denoise_vae").network.trunk
        self.found: dict[str, list[np.ndarray]] = {}

    @torch.inference_mode()
    def add(self, name: str, image: np.ndarray) -> None:
        """Add the middle (96 voxels a side at most) of an image with a range of order 1."""
        middle = [slice(max(n // 2 - 48, 0), max(n // 2 - 48, 0) + min(n, 96) // 16 * 16) for n in image.shape]
        x = torch.from_numpy(np.ascontiguousarray(image[tuple(middle)], dtype=np.float32))[None, None]
        with torch.autocast("cpu", torch.bfloat16):
            seen = self.trunk(x.contiguous(memory_format=torch.channels_last_3d))[1][0].float()
        cells = seen.unfold(2, 8, 8).unfold(3, 8, 8).unfold(4, 8, 8).flatten(5)[0]
        rows = torch.cat([cells.mean(-1), cells.std(-1)]).flatten(1).T
        self.found.setdefault(name, []).append(rows.numpy())

    def distances(self, dimensions: int = 32) -> dict[str, float]:
        """Return the Frechet distance of each set of images to "truth", in the truth's first principal components."""
        truth = np.concatenate(self.found["truth"])
        centre, scale = truth.mean(0), truth.std(0) + 1e-6
        axes = np.linalg.svd((truth - centre) / scale, full_matrices=False)[2][:dimensions]
        seen = {name: ((np.concatenate(rows) - centre) / scale) @ axes.T for name, rows in self.found.items()}
        return {name: frechet_distance(seen["truth"], rows) for name, rows in seen.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", default="mr_enhance_gan")
    parser.add_argument("--factors", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--strengths", type=float, nargs="+", default=[0, 0.5, 1])
    parser.add_argument("--noise", type=float, default=0.0, help="per cent of the robust maximum, or of 2000 HU")
    parser.add_argument("--box", type=int, nargs=3, default=[112, 112, 96], help="voxels in the middle of each scan")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--failure", type=Path, help="draw the failure case here")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    bundles = {f"medgen {s:g}": open_bundle(options.bundle, settings={"strength": s}) for s in options.strengths}
    first = next(iter(bundles.values()))
    is_ct = first.modality == "CT"
    profile, span = ("box", 2000.0) if is_ct else ("gaussian", 1.0)
    for bundle in bundles.values():
        bundle.settings["profile"] = profile
    rows: list[dict[str, Any]] = []
    patches, worst = Patches(), Worst()
    for case in (load_ct(options.data) if is_ct else load(options.data, tuple(options.box)))[: options.limit]:
        if is_ct:
            middle = tuple(slice(max(n // 2 - b // 2, 0), n // 2 + b // 2) for n, b in zip(case["image"].shape, options.box))
            case |= {key: case[key][middle] for key in ("image", "mask")}
        for factor in options.factors:
            made = acquire(case, factor, profile, options.noise / 100 * span)
            if made is None:
                continue
            truth, mask, thick, mm = made
            patches.add("truth", (truth + 1024) / 2048 if is_ct else truth)
            images = {"truth": truth}
            row: dict[str, Any] = {"name": case["name"], "subject": subject_of(case["name"]), "group": case["group"], "factor": factor}
            for name, method in methods(bundles, factor, mm, profile).items():
                started = time.perf_counter()
                result = method(thick)
                seconds = time.perf_counter() - started
                images.setdefault(name if name in ("linear", "cubic", "kriging") else "medgen", result)
                patches.add(name, (result + 1024) / 2048 if is_ct else result)
                row[name] = {"psnr": psnr(result, truth, span, mask), "ssim": ssim(result, truth, span, mask),
                             "seconds": seconds}  # fmt: skip
                if is_ct:
                    for tissue, (low, high) in TISSUES.items():
                        inside = (truth >= low) & (truth <= high)
                        row[name][tissue] = float((result - truth)[inside].mean()) if inside.any() else float("nan")
            rows.append(row)
            gain = row[next(iter(bundles))]["psnr"] - row["cubic"]["psnr"]
            images = {title: images[title] for title in ("truth", "cubic", "kriging", "medgen")}
            fine = finest(case["mm"])
            true_mm = [*(size for axis, size in enumerate(case["mm"]) if axis != fine), case["mm"][fine]]
            worst.offer(gain, f"{case['name']}, factor {factor}", images, np.diag([*true_mm, 1.0]),
                        (-160, 240) if is_ct else (0, 1))  # fmt: skip
            print(case["name"][:28].ljust(28), factor, *(f"{k} {v['psnr']:.2f}/{v['ssim']:.3f}" for k, v in row.items() if isinstance(v, dict)), flush=True)
    report(rows, is_ct)
    worst.write(options.failure)
    print("Frechet distance to the truth: " + ", ".join(f"{name} {value:.2f}" for name, value in patches.distances().items()))
    if options.output:
        numbers.write(options.output, "enhance", first, rows)


def table(rows: list[dict[str, Any]]) -> str:
    """Return the table by factor as Markdown: PSNR in dB / SSIM, means over scans."""
    names = [key for key, value in rows[0].items() if isinstance(value, dict)]
    titles = [{"cubic": "cubic B-spline"}.get(name, name.replace("medgen", "strength")) for name in names]
    lines = ["| factor | n | " + " | ".join(titles) + " |", "|---" * (len(names) + 2) + "|"]
    for factor in sorted({row["factor"] for row in rows}):
        some = [row for row in rows if row["factor"] == factor]
        cells = [f"{np.mean([r[m]['psnr'] for r in some]):.2f} / {np.mean([r[m]['ssim'] for r in some]):.3f}" for m in names]
        lines.append(f"| {factor} | {len(some)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def report(rows: list[dict[str, Any]], is_ct: bool) -> None:
    """Print the table by factor, and each method's distance from cubic with its interval."""
    print("\n" + table(rows))
    names = [key for key, value in rows[0].items() if isinstance(value, dict)]
    for name in names:
        for metric in ("psnr", "ssim"):
            s = summarise([row[name][metric] - row["cubic"][metric] for row in rows], subjects=[row["subject"] for row in rows])
            between = "" if s["low"] is None else f" [{s['low']:.3f}, {s['high']:.3f}]"
            print(f"{name} - cubic, {metric}: {s['mean']:.3f}{between}, n={s['n']} subjects, {len(rows)} cases, "
                  f"above in {sum(r[name][metric] > r['cubic'][metric] for r in rows)}")  # fmt: skip
        if is_ct:
            print("  mean HU error: " + ", ".join(f"{t} {np.nanmean([r[name][t] for r in rows]):+.1f} (largest {np.nanmax(np.abs([r[name][t] for r in rows])):.1f})" for t in TISSUES))
    print("seconds a scan: " + ", ".join(f"{name} {np.mean([row[name]['seconds'] for row in rows]):.1f}" for name in names))


if __name__ == "__main__":
    main()
