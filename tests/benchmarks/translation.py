"""Translation of held-out brain MR between contrasts against what a user would pick instead, all in one run:

    python -m tests.benchmarks.translation brain_mri_translation_gan --data DEV --train PAIRS [--rival NAME=WEIGHTS ...] [-o docs/numbers.json] [--picture PNG]

DEV holds brain_multicontrast/ with the co-registered contrasts of subjects that nothing was trained on; PAIRS is what
tests.benchmarks.translation_pairs made of the training scans. Histogram matching goes to the training patient's scan of the wanted
contrast; the regression by tissue is a line for each class of a segmentation of the subject's T1, fitted to the training
patient's; the curve is the bundle's first guess. Each image is on the scale of white matter = 1, the truth by that segmentation, none
is fitted to the truth. PSNR (range 2, of T2 4), SSIM and MAE in the brain; contrast of lesions: mean in the map less that of the
white matter within 3 to 8 mm, in shares of white matter; ventricles: by brain-any, in the translation and in the real scan.
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
from scipy.ndimage import distance_transform_edt
from skimage.exposure import match_histograms

from medgen.batch.apply import apply
from medgen.batch.picture import three_planes
from medgen.bundles import Bundle, open_bundle
from medgen.evaluation.image_quality import mae, psnr, ssim
from medgen.evaluation.segmenter import Segmenter
from medgen.scans import Scan, read
from medgen.transforms.style import LEVEL, WHITE
from medgen.transforms.translate import CONTRASTS, through
from tests.benchmarks.numbers import write

RANGE = {"T1": 2.0, "T2": 4.0, "FLAIR": 2.0}


def subjects(data: Path) -> dict[str, dict[str, Any]]:
    """Return scans by contrast, classes of the T1, brain and lesion masks of each subject that has all three contrasts on one grid."""
    segmenter, found = Segmenter("brain-t1"), {}
    for path in sorted((data / "brain_multicontrast").glob("*_T1*.nii.gz")):
        if "T1POST" in path.name:
            continue
        scans = {name: read(path.with_name(path.name.replace("_T1", f"_{name}"))) for name in CONTRASTS}
        arrays = {name: np.asarray(scan.image[0], np.float32).clip(0) for name, scan in scans.items()}
        affine = scans["T1"].image.affine.numpy()
        if len({array.shape for array in arrays.values()}) > 1:
            continue
        classes = segmenter.classes(arrays["T1"], affine)
        brain = np.all([array > 0.02 * np.percentile(array, 99) for array in arrays.values()], 0) & (classes > 0)
        lesion = path.with_name(path.name.replace("_T1", "_lesion"))
        found[path.name.partition("_T1")[0]] = {
            "scans": scans, "classes": classes, "brain": brain, "affine": affine,
            "truth": {name: array / np.median(array[(classes == WHITE) & brain]) for name, array in arrays.items()},
            "lesions": np.asarray(read(lesion).image[0]) > 0.5 if lesion.exists() else None,
        }  # fmt: skip
    return found


class Baselines:
    """What a user would pick instead, fitted to the training patient (white matter at 1)."""

    def __init__(self, pairs: Path, curves: dict[str, list[float]]) -> None:
        (path,) = pairs.glob("*_1mm_real.nii.gz")
        image = nib.load(path)
        stacked = np.asarray(image.dataobj, np.float32)
        self.train = {name: stacked[..., k] / LEVEL for k, name in enumerate(CONTRASTS)}
        self.classes = Segmenter("brain-t1").classes(self.train["T1"], image.affine)
        self.curves = curves

    def histogram(self, image: np.ndarray, brain: np.ndarray, source: str, target: str, classes: np.ndarray) -> np.ndarray:
        out = np.zeros_like(image)
        out[brain] = match_histograms(image[brain], self.train[target][self.train[target] > 0.02])
        return out

    def by_tissue(self, image: np.ndarray, brain: np.ndarray, source: str, target: str, classes: np.ndarray) -> np.ndarray:
        out = np.zeros_like(image)
        for number in np.unique(classes[brain]):
            here = (self.classes == number) & (self.train[source] > 0.02)
            if here.sum() < 100:
                here = (self.classes > 0) & (self.train[source] > 0.02)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--rival", action="append", default=[], help="NAME=WEIGHTS of the same generator trained otherwise")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    found, segmenter = subjects(options.data), Segmenter("brain-any")
    bundles = {name: {"medgen": open_bundle(options.bundle, "cpu", {"contrast": name})} for name in CONTRASTS}
    for rival in options.rival:
        title, _, path = rival.partition("=")
        for name, own in bundles.items():
            own[title] = open_bundle(options.bundle, "cpu", {"contrast": name})
            own[title].network.load_state_dict(torch.load(path, weights_only=True))
    baselines = Baselines(options.train, bundles["T1"]["medgen"].get("curves"))
    rows: list[dict[str, Any]] = []
    for name, subject in found.items():
        brain, classes, truth = subject["brain"], subject["classes"], subject["truth"]
        for source in CONTRASTS:
            for target in CONTRASTS:
                if source == target:
                    continue
                images = {title: function(truth[source], brain, source, target, classes) for title, function in (
                    ("histogram matching", baselines.histogram), ("regression by tissue", baselines.by_tissue), ("curve", baselines.curve))}  # fmt: skip
                for title, bundle in bundles[target].items():
                    try:
                        images[title] = translated(bundle, subject["scans"][source])
                    except ValueError as error:
                        print(f"{name}, {source} to {target}, {title}: {error}", flush=True)
                wanted = np.where(brain, truth[target], 0)
                for title, image in images.items():
                    image = np.where(brain, image, 0).astype(np.float32)
                    ventricles = [int((segmenter.classes(one, subject["affine"]) == 3).sum()) for one in (image, wanted)]
                    rows.append({
                        "name": name, "source": source, "target": target, "method": title, "psnr": psnr(image, wanted, RANGE[target], brain),
                        "ssim": ssim(image, wanted, RANGE[target], brain), "mae": mae(image, wanted, brain), "lesions": contrast_in(image, subject),
                        "lesions_truth": contrast_in(truth[target], subject), "lesions_input": contrast_in(truth[source], subject),
                        "ventricles": ventricles[0] / max(ventricles[1], 1),
                    })  # fmt: skip
                    print(f"{name}, {source} to {target}, {title}: " + ", ".join(f"{k} {v:.3f}" for k, v in rows[-1].items() if isinstance(v, float)), flush=True)
                if options.picture and (source, target) in (("T1", "T2"), ("T1", "FLAIR"), ("T2", "FLAIR"), ("FLAIR", "T1")):
                    path = options.picture.with_stem(f"{options.picture.stem}_{name}_{source}_{target}")
                    shown = {source: truth[source], f"{target}, real": truth[target], **images}
                    three_planes(path, shown, subject["affine"], {title: (0, RANGE[target if title != source else source]) for title in shown})
    print("\n" + table(rows))
    if options.output:
        write(options.output, "translation", bundles["T1"]["medgen"], rows)


def table(rows: list[dict[str, Any]]) -> str:
    """Return the tables: PSNR in dB / SSIM by direction, and what is kept of lesions and ventricles."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    directions = list(dict.fromkeys((row["source"], row["target"]) for row in rows))

    def of(method: str, direction: tuple[str, str], key: str) -> list[float]:
        return [row[key] for row in rows if row["method"] == method and (row["source"], row["target"]) == direction and row[key] is not None]

    lines = ["| from, to | n | " + " | ".join(methods) + " |", "|---" * (len(methods) + 2) + "|"]
    for direction in directions:
        cells = [f"{np.mean(of(m, direction, 'psnr')):.2f} / {np.mean(of(m, direction, 'ssim')):.3f}" if of(m, direction, "psnr") else "-" for m in methods]
        lines.append(f"| {direction[0]} to {direction[1]} | {len(of(methods[0], direction, 'psnr'))} | " + " | ".join(cells) + " |")
    means = [f"{np.mean([row['psnr'] for row in rows if row['method'] == m]):.2f} / {np.mean([row['ssim'] for row in rows if row['method'] == m]):.3f}" for m in methods]
    lines += [f"| mean | {len({row['name'] for row in rows})} | " + " | ".join(means) + " |", ""]
    lines += ["| contrast of lesions | in the scan | in the real one | " + " | ".join(methods) + " |", "|---" * (len(methods) + 3) + "|"]
    for direction in directions:
        known = [float(np.mean(of(methods[0], direction, key))) if of(methods[0], direction, key) else float("nan") for key in ("lesions_input", "lesions_truth")]
        cells = [f"{np.mean(of(m, direction, 'lesions')):+.2f}" if of(m, direction, "lesions") else "-" for m in methods]
        lines.append(f"| {direction[0]} to {direction[1]} | " + " | ".join([*(f"{v:+.2f}" for v in known), *cells]) + " |")
    lines += ["", "| ventricles, share of the real scan's | " + " | ".join(methods) + " |", "|---" * (len(methods) + 1) + "|"]
    for direction in directions:
        cells = ["/".join(f"{v:.2f}" for v in of(m, direction, "ventricles")) or "-" for m in methods]
        lines.append(f"| {direction[0]} to {direction[1]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
