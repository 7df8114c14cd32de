"""Repair of held-out scans against what a user would pick instead, all in one run:

    python -m tests.benchmarks.repair --data DIR [--bundle mr_repair_vae] [--weights model.pt] [--failure worst.png] [-o results.json]
    python -m tests.benchmarks.repair --data DIR --find [--bundle mr_repair_vae]
    python -m tests.benchmarks.repair --data DIR --faults [--bundle mr_repair_vae]

DIR holds brain_t1/, brain_multicontrast/ and mr_other/, or ct/, of scans that nothing was trained on. Holes: 1, 2, 3 and 5
missing slices, and balls of 8, 16, 24 and 40 mm in healthy tissue (clear of the lesion map, where there is one). PSNR
inside the hole (of slices, in a window around its middle), data range the robust maximum, for CT 2,000 HU: linear
interpolation (of balls, the mean of that along each axis), biharmonic inpainting (scikit-image), the smooth fill that the
network starts from, and the bundle. With --find: the part of spoiled slices that is found without a mask (to be filled or
rescaled), by kind of fault, and false alarms. With --faults: PSNR in the body's part of what a fault spoiled, as it is and
as the bundle returns it, which finds the slices by itself (metal-like voids and a cut field of view are given as a mask),
beside interpolation between the slices around them by someone who knows which are spoiled.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from scipy.ndimage import binary_fill_holes, find_objects
from scipy.stats import spearmanr
from skimage.restoration import inpaint_biharmonic

from medgen.bundles import open_bundle
from medgen.evaluation.image_quality import psnr
from medgen.evaluation.statistics import summarise
from medgen.scans import find, read
from medgen.transforms.fill import smooth_fill
from medgen.transforms.holes import blob, slab
from medgen.transforms.spoil import FAULTS, spoil, void
from tests.benchmarks import numbers
from tests.benchmarks.denoise import subject_of
from tests.benchmarks.worst import Worst

SLICES, DIAMETERS = (1, 2, 3, 5), (8, 16, 24, 40)
WINDOW, INNER = 52, 36  #: voxels of a missing slice that biharmonic inpainting is given, and that all are measured on
MARGIN = 5  #: voxels around a ball that it is given
#: faults of many slices, for --find: the gain, and in which slices: a run of so many, or every so manieth
MANY: dict[str, tuple[float, tuple[int, int] | int]] = {
    "4 to 8 blank slices": (0.0, (4, 8)),
    "4 to 8 slices darker": (0.6, (4, 8)),
    "every second slice darker": (0.8, 2),
    "every third slice brighter": (1.4, 3),
}
MASKED = ("metal-like void", "cut field of view")  #: faults that are given as a mask, for --faults
SPREAD = ("3 slices", "24 mm")  #: where the standard deviation is measured too


def load(folder: Path, ct: bool) -> Iterator[dict[str, Any]]:
    """Yield name, subject, image, affine, spacing, data range, body mask and lesions of every held-out scan."""
    rooms = [folder / name for name in (("ct",) if ct else ("brain_t1", "brain_multicontrast", "mr_other"))]
    for case in find([room for room in rooms if room.exists()])[0]:
        if any(mark in case.name for mark in ("DLMUSE", "lesion", "_seg")):
            continue
        scan = read(case)
        image = np.asarray(scan.image[0], dtype=np.float32)
        span = 2000.0 if ct else float(np.percentile(image[image > 0], 99.5))
        body = image > -500 if ct else image > 0.1 * span
        for axis in range(3):
            body = np.stack([binary_fill_holes(plane) for plane in np.moveaxis(body, axis, 0)], axis)
        lesions = np.zeros(image.shape, dtype=bool)
        for path in folder.glob(f"brain_multicontrast/{subject_of(case.name)}_lesion*"):
            lesions |= np.asarray(read(find([path])[0][0]).image[0]) > 0
        subject = subject_of(case.name)
        yield {"name": case.name, "subject": subject, "image": image, "affine": scan.image.affine, "spacing": scan.spacing,
               "range": span, "body": body, "lesions": lesions}  # fmt: skip


def holes(case: dict[str, Any], number: int, seed: int) -> Iterator[tuple[str, int | None, np.ndarray, np.ndarray]]:
    """Yield name, axis (of slices; of even voxels each in its turn), hole and where to measure."""
    rng = np.random.RandomState(seed + number)
    body, spacing = case["body"], [float(mm) for mm in case["spacing"]]
    extent = find_objects(body.astype(np.uint8))[0]
    axes = [0, 1, 2] if max(spacing) < 1.3 * min(spacing) else [int(np.argmax(spacing))]
    for turn, slices in enumerate(SLICES):
        axis = axes[(number + turn) % len(axes)]
        around = extent[axis]
        start = int(around.start + (around.stop - around.start) * rng.uniform(0.3, 0.7))
        hole = slab(body.shape, axis, start, slices)
        middle = np.insert(np.argwhere(np.take(body, start, axis)).mean(0), axis, start)
        inner = np.zeros_like(hole)
        inner[tuple(slice(None) if a == axis else slice(max(int(m) - INNER // 2, 0), int(m) + INNER // 2)
                    for a, m in enumerate(middle))] = True  # fmt: skip
        yield f"{slices} slices", axis, hole, hole & inner
    places = np.argwhere(body)
    for diameter in DIAMETERS:
        for _ in range(1 if diameter == 40 else 2):
            for _ in range(400):
                hole = blob(body.shape, places[rng.randint(len(places))], diameter, spacing)
                if body[hole].mean() > 0.9 and not (hole & case["lesions"]).any():
                    yield f"{diameter} mm", None, hole, hole
                    break


def linear(image: np.ndarray, hole: np.ndarray, axis: int | None) -> np.ndarray:
    """Interpolate along an axis; the mean over the three axes without one."""
    if axis is None:
        return np.mean([linear(image, hole, a) for a in range(3)], 0)
    values, gaps = np.moveaxis(image, axis, -1).copy(), np.moveaxis(hole, axis, -1)
    for at in zip(*np.nonzero(gaps.any(-1))):
        known = ~gaps[at]
        if known.any():
            values[at] = np.interp(np.arange(len(known)), np.nonzero(known)[0], values[at][known])
    return np.moveaxis(values, -1, axis)


def box(hole: np.ndarray, measured: np.ndarray, axis: int | None) -> tuple[slice, ...]:
    """Return what the classics are given: the hole and a margin; of slices, a window around what is measured."""
    margins = [MARGIN] * 3 if axis is None else [MARGIN if a == axis else (WINDOW - INNER) // 2 for a in range(3)]
    found = find_objects(measured.astype(np.uint8))[0]
    return tuple(slice(max(s.start - m, 0), min(s.stop + m, n)) for s, m, n in zip(found, margins, hole.shape))


class Medgen:
    """The bundle as `medgen run` uses it; with `weights`, these in place of its own."""

    def __init__(self, name: str, weights: Path | None) -> None:
        self.bundle = open_bundle(name)
        if weights is None:
            self.network = self.bundle.network
        else:
            self.network = self.bundle.get("network_def").eval()
            self.network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        self.inferer = self.bundle.get("inferer")

    def __call__(self, image: np.ndarray, affine: torch.Tensor, hole: np.ndarray | None, spread: bool = False) -> np.ndarray:
        """Return the filled image, of which spoiled slices are looked for without a hole; with `spread` its standard deviation."""
        data = {"image": MetaTensor(torch.from_numpy(image)[None], affine=affine)}
        if hole is not None:
            data["mask"] = MetaTensor(torch.from_numpy(hole.astype(np.float32))[None], affine=affine)
        data = self.bundle.get("normalisation")(data)
        inputs = data["image"].as_tensor()[None]

        def back(pred: torch.Tensor) -> np.ndarray:
            made = self.bundle.get("denormalisation")({**data, "pred": MetaTensor(pred, meta=data["image"].meta)})
            return made["pred"][0].numpy()

        mean = self.inferer(inputs, self.network)[0]
        if not spread:
            return back(mean)
        deviation = self.inferer(inputs, partial(self.network.uncertainty, samples=8))[0]
        return back(mean + deviation) - back(mean)


def compare(cases: Iterator[dict[str, Any]], medgen: Medgen, seed: int, skip_large: bool, worst: Worst) -> list[dict[str, Any]]:
    rows = []
    for number, case in enumerate(cases):
        image, span = case["image"], case["range"]
        for kind, axis, hole, measured in holes(case, number, seed):
            emptied = np.where(hole, 0, image).astype(np.float32)
            where = box(hole, measured, axis)
            if not measured.any() or (skip_large and hole[where].sum() > 20000):
                continue
            small, gap = emptied[where].astype(np.float64) / span, hole[where]
            filled = {
                "linear": linear(small, gap, axis),
                "biharmonic": inpaint_biharmonic(small, gap),
                "smooth fill": smooth_fill(emptied / span, hole)[where],
            }
            started = time.perf_counter()
            mine = medgen(emptied, case["affine"], hole)
            seconds = time.perf_counter() - started
            if not np.array_equal(mine[~hole], image[~hole]):
                raise SystemExit(f"{case['name']}: a voxel outside the hole was changed")
            filled["medgen"] = mine[where] / span
            truth, inside = image[where] / span, measured[where]
            row = {"case": case["name"], "subject": case["subject"], "hole": kind, "voxels": int(hole.sum()), "seconds": seconds}
            row |= {name: psnr(np.asarray(x, np.float64), truth.astype(np.float64), 1.0, inside) for name, x in filled.items()}
            if kind in SPREAD:
                deviation = medgen(emptied, case["affine"], hole, spread=True)[measured]
                error = np.abs(mine - image)[measured]
                row["covered"] = float((error <= 1.645 * deviation).mean())
                row["spearman"] = float(spearmanr(deviation, error).statistic)
            low = -160 / span if image.min() < -500 else 0.0
            shown = {"truth": truth, "hole": emptied[where] / span, "biharmonic": filled["biharmonic"], "medgen": filled["medgen"]}
            gain = row["medgen"] - max(row["linear"], row["biharmonic"])
            worst.offer(gain, f"{case['name']}, {kind}", shown, np.asarray(case["affine"]), (low, low + 0.2 if low else 1.0))
            rows.append(row)
            print(f"{case['name']} {kind}: " + ", ".join(f"{n} {row[n]:.2f}" for n in filled) + f" ({seconds:.1f} s)", flush=True)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Return the table as Markdown; the gain is over the better of linear and biharmonic, as bootstrapped over subjects."""
    lines = ["| hole | n | linear | biharmonic | smooth fill | medgen | gain, dB |", "|---" * 7 + "|"]
    for kind in [f"{n} slices" for n in SLICES] + [f"{d} mm" for d in DIAMETERS]:
        mine = [r for r in rows if r["hole"] == kind]
        if not mine:
            continue
        better = "biharmonic" if np.mean([r["biharmonic"] - r["linear"] for r in mine]) > 0 else "linear"
        by_subject = [
            float(np.mean([r["medgen"] - r[better] for r in mine if r["subject"] == s])) for s in sorted({r["subject"] for r in mine})
        ]
        s = summarise(by_subject)
        between = "" if s["low"] is None else f" [{s['low']:.2f}, {s['high']:.2f}]"
        means = " | ".join(f"{np.mean([r[m] for r in mine]):.2f}" for m in ("linear", "biharmonic", "smooth fill", "medgen"))
        lines.append(f"| {kind} | {len(mine)} holes, {s['n']} subjects | {means} | {s['mean']:+.2f}{between} over {better} |")
    return "\n".join(lines)


def report(rows: list[dict[str, Any]]) -> None:
    """Print the table, and how well the spread tells the error."""
    print("\n" + table(rows))
    for kind in SPREAD:
        told = [r for r in rows if r["hole"] == kind]
        if told:
            print(f"spread of {kind}: 90 % intervals cover {np.mean([r['covered'] for r in told]):.1%} of voxels, "
                  f"Spearman with |error| {np.mean([r['spearman'] for r in told]):.2f}, n={len(told)}")  # fmt: skip
    print(f"median {np.median([r['seconds'] for r in rows]):.1f} s a hole")


def spoiled(image: np.ndarray, axis: int, extent: slice, fault: str, rng: np.random.RandomState) -> tuple[np.ndarray, set[tuple[int, int]]]:
    """Return an image whose air is 0 with a fault of `FAULTS` or `MANY` within `extent`, and the axis and number of its slices."""
    if fault in FAULTS:
        at = int(rng.randint(extent.start + 3, extent.stop - 3))
        return spoil(image, axis, [at], fault, rng), {(axis, at)}
    gain, which = MANY[fault]
    if isinstance(which, int):
        touched = range(int(rng.randint(which)), image.shape[axis], which)
    else:
        length = int(rng.randint(which[0], which[1] + 1))
        start = int(rng.randint(extent.start + 3, extent.stop - 2 - length))
        touched = range(start, start + length)
    out = image.copy()
    np.moveaxis(out, axis, 0)[touched.start : touched.stop : touched.step] *= np.float32(gain)
    return out, {(axis, at) for at in touched}


def found(cases: Iterator[dict[str, Any]], medgen: Medgen, repeats: int, seed: int) -> None:
    """Print recall by kind of fault, what else was found, and false alarms on the clean scans."""
    hits: dict[str, list[float]] = {fault: [] for fault in (*FAULTS, *MANY)}  # the part of its slices that was found
    others: dict[str, int] = dict.fromkeys(hits, 0)
    clean, alarms = 0, []
    normalise = medgen.bundle.get("normalisation")

    def slices(image: np.ndarray, case: dict[str, Any]) -> set[tuple[int, int]]:
        data = normalise({"image": MetaTensor(torch.from_numpy(image)[None], affine=case["affine"])})
        report = json.loads(data["image_holes"]["report"])
        return {(s["axis"], s["slice"]) for s in report["spoiled_slices"]} | {
            (u["axis"], at) for u in report["rescaled"] for at in u["slices"]
        }

    for number, case in enumerate(cases):
        rng = np.random.RandomState(seed + number)
        clean += 1
        alarm = slices(case["image"], case)
        if alarm:
            alarms.append(f"{case['name']}: {sorted(alarm)}")
        spacing, low = case["spacing"], float(min(case["image"].min(), 0))
        axes = [0, 1, 2] if max(spacing) < 1.3 * min(spacing) else [int(np.argmax(spacing))]
        for fault, hit in hits.items():
            for _ in range(repeats):
                axis = axes[rng.randint(len(axes))]
                extent = find_objects(case["body"].astype(np.uint8))[0][axis]
                image, touched = spoiled(case["image"] - low, axis, extent, fault, rng)
                told = slices(image + np.float32(low), case) - alarm
                hit.append(len(told & touched) / len(touched))
                others[fault] += len(told - touched)
        print(case["name"], {fault: f"{sum(h):.3g}/{len(h)}" for fault, h in hits.items()}, flush=True)
    print("\n| fault | recall of slices | n | other slices called spoiled |\n|---|---|---|---|")
    for fault, h in hits.items():
        print(f"| {fault} | {np.mean(h):.0%} | {len(h)} | {others[fault]} |")
    print(f"false alarms: {len(alarms)} of {clean} clean scans" + "".join(f"\n  {a}" for a in alarms))


def mended(cases: Iterator[dict[str, Any]], medgen: Medgen, repeats: int, seed: int) -> None:
    """Print PSNR of what each kind of fault spoiled: as it is, interpolated by who knows where it is, and by the bundle."""
    rows: list[dict[str, Any]] = []
    for number, case in enumerate(cases):
        rng = np.random.RandomState(seed + number)
        image, spacing, low = case["image"], case["spacing"], float(min(case["image"].min(), 0))
        axes = [0, 1, 2] if max(spacing) < 1.3 * min(spacing) else [int(np.argmax(spacing))]
        inside = np.argwhere(case["body"] & ~case["lesions"])
        for fault in (*FAULTS, *MANY, *MASKED) * repeats:
            axis = axes[rng.randint(len(axes))]
            extent = find_objects(case["body"].astype(np.uint8))[0][axis]
            if fault in MASKED:
                hole = np.zeros(image.shape, dtype=bool)
                if fault == MASKED[0]:
                    bad, hole = void(image, inside[rng.randint(len(inside))], rng.uniform(12, 24), spacing, rng)
                else:
                    thick = max((extent.stop - extent.start) // 12, 2)
                    hole |= slab(image.shape, axis, extent.stop - thick, image.shape[axis])
                    bad = np.where(hole, np.float32(low), image)
                made = medgen(bad, case["affine"], hole)
            else:
                bad, touched = spoiled(image - low, axis, extent, fault, rng)
                bad, hole = bad + np.float32(low), np.zeros(image.shape, dtype=bool)
                for _, at in touched:
                    np.moveaxis(hole, axis, 0)[at] = True
                made = medgen(bad, case["affine"], None)
            filled = linear(bad, hole, None if fault == MASKED[0] else axis)
            row = {"subject": case["subject"], "fault": fault}
            for name, one in (("spoiled", bad), ("interpolated", filled), ("medgen", made)):
                row[name] = psnr(np.asarray(one, np.float64), image.astype(np.float64), case["range"], hole & case["body"])
            rows.append(row)
        print(case["name"], len(rows), flush=True)
    print("\n| fault | n | spoiled | interpolated, its slices known | medgen | medgen - spoiled | medgen - interpolated |\n|---|---|---|---|---|---|---|")
    for fault in (*FAULTS, *MANY, *MASKED):
        mine = [row for row in rows if row["fault"] == fault]
        cells = [f"{np.mean([row[name] for row in mine]):.2f}" for name in ("spoiled", "interpolated", "medgen")]
        for other in ("spoiled", "interpolated"):
            s = summarise([row["medgen"] - row[other] for row in mine], subjects=[row["subject"] for row in mine])
            cells.append(f"{s['mean']:+.2f}" + ("" if s["low"] is None else f" [{s['low']:.2f}, {s['high']:.2f}]"))
        print(f"| {fault} | {len(mine)} | " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", default="mr_repair_vae", help="name or folder")
    parser.add_argument("--weights", type=Path, help="weights in place of the bundle's own")
    parser.add_argument("--find", action="store_true", help="measure the finding of spoiled slices instead")
    parser.add_argument("--faults", action="store_true", help="measure the repair of scans with faults instead")
    parser.add_argument("--repeats", type=int, default=3, help="times a fault is put into a scan, with --find and --faults")
    parser.add_argument("--quick", action="store_true", help="no holes that biharmonic inpainting takes half a minute for")
    parser.add_argument("--limit", type=int, default=None, help="every so manieth scan only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--failure", type=Path, help="draw the failure case here")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    medgen = Medgen(options.bundle, options.weights) if not options.find else Medgen.__new__(Medgen)
    if options.find:
        medgen.bundle = open_bundle(options.bundle)
    ct = medgen.bundle.modality == "CT"
    cases = (case for number, case in enumerate(load(options.data, ct)) if number % (options.limit or 1) == 0)
    if options.find:
        found(cases, medgen, options.repeats, options.seed)
        return
    if options.faults:
        mended(cases, medgen, options.repeats, options.seed)
        return
    worst = Worst()
    rows = compare(cases, medgen, options.seed, options.quick, worst)
    report(rows)
    worst.write(options.failure)
    if options.output:
        numbers.write(options.output, "repair", medgen.bundle, rows)


if __name__ == "__main__":
    main()
