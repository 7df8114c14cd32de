"""Translation of held-out brain MR between contrasts against what a user would pick instead, all in one run:

    python -m tests.benchmarks.translation brain_mri_translation_gan --data DEV --train PAIRS [-o docs/numbers.json] [--picture PNG]

DEV holds brain_multicontrast/ with the co-registered contrasts of subjects that nothing was trained on; PAIRS is what
tests.benchmarks.translation_pairs made of the training scans. Histogram matching goes to the training patient's scan of the wanted
contrast; the regression by tissue is a line for each class of a segmentation of the scan (T1: brain-t1, else brain-any), fitted to
the training patient; "with the T1" it takes the classes of the subject's T1, which whoever translates to T1 does not have; the curve is
where the bundle begins. Each image is on the scale of white matter = 1, the truth by that segmentation, none
is fitted to the truth. PSNR (range 2, of T2 4), SSIM and MAE in the brain, which is what any contrast of a skull-stripped scan shows,
fluid included. Lost or kept: contrast of lesions (mean in the map less that of the white matter within 3 to 8 mm, in shares of white
matter; "unseen" ones are voxels of the map that the scan shows within 5 % of that white matter); ventricles by brain-any, in the
translation and in the real scan; edges of the cortex (the gradient at its borders, regressed on the real one). The interval is a
bootstrap over slabs of 16 mm.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from monai.data import MetaTensor
from numpy.random import RandomState
from scipy.ndimage import binary_dilation, binary_fill_holes, distance_transform_edt
from skimage.exposure import match_histograms

from medgen.batch.apply import apply
from medgen.batch.picture import three_planes
from medgen.bundles import Bundle, open_bundle
from medgen.evaluation.edges import gradient_kept
from medgen.evaluation.image_quality import mae, psnr, ssim
from medgen.evaluation.segmenter import Segmenter
from medgen.scans import Scan, read
from medgen.transforms.style import LEVEL, WHITE
from medgen.transforms.translate import CONTRASTS, through
from tests.benchmarks.numbers import write

RANGE = {"T1": 2.0, "T2": 4.0, "FLAIR": 2.0}
SLAB = 16  #: mm


def brain_of(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Return the mask of what any contrast of a skull-stripped head shows, its holes filled."""
    return np.asarray(binary_fill_holes(np.any([array > 0.05 * np.percentile(array, 99) for array in arrays.values()], 0)))


def tissues(image: np.ndarray, affine: np.ndarray, contrast: str) -> np.ndarray:
    """Return the classes that a user's segmentation of the scan itself finds."""
    return Segmenter("brain-t1" if contrast == "T1" else "brain-any").classes(image, affine)


def subjects(data: Path) -> dict[str, dict[str, Any]]:
    """Return scans by contrast, classes of the T1, brain and lesion masks of each subject that has all three contrasts on one grid."""
    found = {}
    for path in sorted((data / "brain_multicontrast").glob("*_T1*.nii.gz")):
        if "T1POST" in path.name:
            continue
        scans = {name: read(path.with_name(path.name.replace("_T1", f"_{name}"))) for name in CONTRASTS}
        arrays = {name: np.asarray(scan.image[0], np.float32).clip(0) for name, scan in scans.items()}
        affine = scans["T1"].image.affine.numpy()
        if len({array.shape for array in arrays.values()}) > 1:
            continue
        classes = tissues(arrays["T1"], affine, "T1")
        brain = brain_of(arrays)
        lesion = path.with_name(path.name.replace("_T1", "_lesion"))
        inside = np.argwhere(brain)
        box = tuple(slice(max(a - 4, 0), b + 5) for a, b in zip(inside.min(0), inside.max(0)))
        found[path.name.partition("_T1")[0]] = {
            "scans": scans, "box": box, "classes": classes[box], "brain": brain[box], "affine": affine,
            "truth": {name: array[box] / np.median(array[(classes == WHITE) & brain]) for name, array in arrays.items()},
            "lesions": np.asarray(read(lesion).image[0])[box] > 0.5 if lesion.exists() else None,
        }  # fmt: skip
    return found


class Baselines:
    """What a user would pick instead, fitted to the training patient (white matter at 1)."""

    def __init__(self, pairs: Path, curves: dict[str, list[float]]) -> None:
        (path,) = pairs.glob("*_1mm_real.nii.gz")
        image = nib.load(path)
        stacked = np.asarray(image.dataobj, np.float32)
        self.train = {name: stacked[..., k] / LEVEL for k, name in enumerate(CONTRASTS)}
        self.classes = {name: tissues(scan, image.affine, name) for name, scan in self.train.items()}
        self.brain = brain_of(self.train)
        self.curves = curves

    def histogram(self, image: np.ndarray, brain: np.ndarray, source: str, target: str, classes: np.ndarray) -> np.ndarray:
        out = np.zeros_like(image)
        out[brain] = match_histograms(image[brain], self.train[target][self.brain])
        return out

    def by_tissue(self, image: np.ndarray, brain: np.ndarray, source: str, target: str, classes: np.ndarray) -> np.ndarray:
        return self._lines(image, brain, source, target, classes, self.classes[source])

    def with_the_t1(self, image: np.ndarray, brain: np.ndarray, source: str, target: str, classes: np.ndarray) -> np.ndarray:
        return self._lines(image, brain, source, target, classes, self.classes["T1"])

    def _lines(self, image: np.ndarray, brain: np.ndarray, source: str, target: str, classes: np.ndarray, own: np.ndarray) -> np.ndarray:
        out = np.zeros_like(image)
        for number in np.unique(classes[brain]):
            here = (own == number) & self.brain
            if here.sum() < 100:
                here = self.brain
            slope, shift = np.polyfit(self.train[source][here], self.train[target][here], 1)
            there = brain & (classes == number)
            out[there] = slope * image[there] + shift
        return out.clip(0)

    def curve(self, image: np.ndarray, brain: np.ndarray, source: str, target: str, classes: np.ndarray) -> np.ndarray:
        guess = through(torch.from_numpy(image * LEVEL), self.curves[f"{source} to {target}"]).numpy() / LEVEL
        return np.asarray(np.where(brain, guess, 0))


def translated(bundle: Bundle, scan: Scan) -> np.ndarray:
    """Return what `medgen run` makes of a scan, white matter at 1."""
    return apply(bundle, replace(scan, image=MetaTensor(scan.image.clone(), meta=scan.image.meta))).images[""] / 500


def contrast_in(image: np.ndarray, subject: dict[str, Any]) -> float | None:
    """Return the contrast of the lesions in shares of white matter, None without a map of them."""
    lesions, classes = subject["lesions"], subject["classes"]
    if lesions is None or not lesions.any():
        return None
    far = distance_transform_edt(~lesions, sampling=np.linalg.norm(subject["affine"][:3, :3], axis=0))
    around = (far > 3) & (far < 8) & (classes == WHITE)
    return float((image[lesions].mean() - image[around].mean()) / image[around].mean())


def unseen(image: np.ndarray, source: np.ndarray, subject: dict[str, Any]) -> float | None:
    """Return the contrast of those voxels of the lesions that the scan translated shows like white matter."""
    lesions, classes = subject["lesions"], subject["classes"]
    if lesions is None or not lesions.any():
        return None
    far = distance_transform_edt(~lesions, sampling=np.linalg.norm(subject["affine"][:3, :3], axis=0))
    around = (far > 3) & (far < 8) & (classes == WHITE)
    faint = lesions & (np.abs(source / source[around].mean() - 1) < 0.05)
    return float(image[faint].mean() / image[around].mean() - 1)


def slabs(image: np.ndarray, wanted: np.ndarray, subject: dict[str, Any]) -> list[list[float]]:
    """Return the voxels and the sum of squared errors in each slab of the brain, along the last axis."""
    step = max(1, round(SLAB / float(np.linalg.norm(subject["affine"][:3, 2]))))
    error = (image - wanted).astype(np.float64) ** 2
    parts = [slice(k, k + step) for k in range(0, image.shape[2], step)]
    found = [[float(subject["brain"][..., p].sum()), float(error[..., p][subject["brain"][..., p]].sum())] for p in parts]
    return [pair for pair in found if pair[0]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    found, segmenter = subjects(options.data), Segmenter("brain-any")
    settings: dict[str, dict[str, Any]] = {"medgen": {}, "medgen, sharpest": {"strength": 1.0}, "medgen, unpaired": {"variant": "unpaired"}}
    bundles = {name: {title: open_bundle(options.bundle, "cpu", {"contrast": name, **chosen}) for title, chosen in settings.items()}
               for name in CONTRASTS}  # fmt: skip
    baselines = Baselines(options.train, bundles["T1"]["medgen"].get("curves"))
    rows: list[dict[str, Any]] = []
    for name, subject in found.items():
        brain, classes, truth = subject["brain"], subject["classes"], subject["truth"]
        border = binary_dilation(classes == 1) & binary_dilation((classes == WHITE) | (classes == 9) | ~brain) & brain
        seen = {name: int((segmenter.classes(np.where(brain, one, 0), subject["affine"]) == 3).sum()) for name, one in truth.items()}
        own = {source: tissues(np.where(brain, image, 0), subject["affine"], source) for source, image in truth.items()}
        for source in CONTRASTS:
            for target in CONTRASTS:
                if source == target:
                    continue
                images = {title: function(truth[source], brain, source, target, known) for title, function, known in (
                    ("histogram matching", baselines.histogram, classes), ("regression by tissue", baselines.by_tissue, own[source]),
                    ("... with the T1", baselines.with_the_t1, classes), ("curve", baselines.curve, classes))}  # fmt: skip
                for title, bundle in bundles[target].items():
                    try:
                        images[title] = translated(bundle, subject["scans"][source])[subject["box"]]
                    except ValueError as error:
                        print(f"{name}, {source} to {target}, {title}: {error}", flush=True)
                wanted = np.where(brain, truth[target], 0)
                for title, image in images.items():
                    image = np.where(brain, image, 0).astype(np.float32)
                    ventricles = [int((segmenter.classes(image, subject["affine"]) == 3).sum()), seen[target]]
                    rows.append({
                        "name": name, "source": source, "target": target, "method": title, "psnr": psnr(image, wanted, RANGE[target], brain),
                        "ssim": ssim(image, wanted, RANGE[target], brain), "mae": mae(image, wanted, brain), "lesions": contrast_in(image, subject),
                        "lesions_truth": contrast_in(truth[target], subject), "lesions_input": contrast_in(truth[source], subject),
                        "ventricles": ventricles[0] / max(ventricles[1], 1), "unseen": unseen(image, truth[source], subject),
                        "unseen_truth": unseen(truth[target], truth[source], subject), "slabs": slabs(image, wanted, subject),
                        "edges": gradient_kept(image, wanted, np.linalg.norm(subject["affine"][:3, :3], axis=0), border),
                    })  # fmt: skip
                    print(f"{name}, {source} to {target}, {title}: " + ", ".join(f"{k} {v:.3f}" for k, v in rows[-1].items() if isinstance(v, float)), flush=True)
                if options.picture and (source, target) in (("T1", "T2"), ("T1", "FLAIR"), ("T2", "FLAIR"), ("FLAIR", "T1")):
                    path = options.picture.with_stem(f"{options.picture.stem}_{name}_{source}_{target}")
                    shown = {source: truth[source], f"{target}, real": truth[target], **images}
                    three_planes(path, shown, subject["affine"], {title: (0, RANGE[target if title != source else source]) for title in shown})
    print("\n" + table(rows))
    if options.output:
        write(options.output, "translation", bundles["T1"]["medgen"], rows)


def gains(rows: list[dict[str, Any]], method: str, other: str) -> tuple[float, float, float]:
    """Return how many dB of PSNR a method is above another, mean of directions and subjects, and its interval over slabs."""
    pairs = [(a, b) for a in rows for b in rows if a["method"] == method and b["method"] == other
             and all(a[key] == b[key] for key in ("name", "source", "target"))]  # fmt: skip
    names = sorted({a["name"] for a, _ in pairs})
    rng, found = RandomState(0), []
    for draw in range(1001):
        counts = {name: len(next(a for a, _ in pairs if a["name"] == name)["slabs"]) for name in names}
        chosen = {name: np.arange(n) if draw == 0 else rng.randint(0, n, n) for name, n in counts.items()}
        errors = [[np.asarray(row["slabs"])[chosen[row["name"]]].sum(0) for row in pair] for pair in pairs]
        found.append(float(np.mean([10 * np.log10((b[1] / b[0]) / (a[1] / a[0])) for a, b in errors])))
    low, high = np.percentile(found[1:], (2.5, 97.5))
    return found[0], float(low), float(high)


def table(rows: list[dict[str, Any]]) -> str:
    """Return the tables: PSNR in dB / SSIM / MAE by direction, and what is kept of lesions, ventricles and edges."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    directions = list(dict.fromkeys((row["source"], row["target"]) for row in rows))
    names = list(dict.fromkeys(row["name"] for row in rows))
    head, rule = " | ".join(methods), "|---" * (len(methods) + 2) + "|"

    def mean(method: str, direction: tuple[str, str] | None, key: str, name: str | None = None) -> float:
        own = [row[key] for row in rows if row["method"] == method and direction in (None, (row["source"], row["target"])) and name in (None, row["name"])]
        known = [value for value in own if value is not None]
        return float(np.mean(known)) if known else float("nan")

    def three(method: str, direction: tuple[str, str] | None, name: str | None = None) -> str:
        return f"{mean(method, direction, 'psnr', name):.2f} / {mean(method, direction, 'ssim', name):.3f} / {mean(method, direction, 'mae', name):.3f}"

    lines = [f"| PSNR / SSIM / MAE | n | {head} |", rule]
    for direction in directions:
        lines.append(f"| {direction[0]} to {direction[1]} | {len(names)} | " + " | ".join(three(m, direction) for m in methods) + " |")
    for name in [*names, None]:
        lines.append(f"| mean, {name or 'all'} | {1 if name else len(names)} | " + " | ".join(three(m, None, name) for m in methods) + " |")
    lines.append("")
    for other in [m for m in methods if m != "medgen"] if "medgen" in methods else []:
        lines.append("medgen above {}: {:+.2f} dB [{:+.2f}, {:+.2f}].".format(other, *gains(rows, "medgen", other)))
    lines += ["", f"| contrast of lesions | in the scan | in the real one | {head} |", rule + "---|"]
    for direction in directions:
        known = [mean(methods[0], direction, key) for key in ("lesions_input", "lesions_truth")]
        lines.append(f"| {direction[0]} to {direction[1]} | " + " | ".join(f"{v:+.2f}" for v in [*known, *(mean(m, direction, "lesions") for m in methods)]) + " |")
    for direction in directions:
        values = [mean(methods[0], direction, "unseen_truth"), *(mean(m, direction, "unseen") for m in methods)]
        lines.append(f"| {direction[0]} to {direction[1]}, unseen | 0 | " + " | ".join(f"{v:+.2f}" for v in values) + " |")
    lines += ["", f"| ventricles, share of the real scan's; edges of the cortex | {head} |", "|---" * (len(methods) + 1) + "|"]
    for direction in directions:
        cells = ["/".join(f"{mean(m, direction, 'ventricles', name):.2f}" for name in names) + f"; {mean(m, direction, 'edges'):.2f}" for m in methods]
        lines.append(f"| {direction[0]} to {direction[1]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
