"""Synthetic T1 heads against the real ones that their label maps come from, on held-out subjects:

    python -m tests.benchmarks.synthesis brain_mri_synthesis_spade --data DEV [--rival mean.pt] [--spade-vae vae.pt]
        [--picture PNG] [-o docs/numbers.json]

DEV holds brain_t1/ with its label maps. Of each subject the classes (DLMUSE's, and the head around the brain) are painted by
the bundle and by what one would use instead: Gaussian intensities of each label (their means and SDs in training scans),
with `--rival` the same generator trained without a discriminator, and with `--spade-vae` MONAI's SPADE-VAE, trained by
tests.benchmarks.spade_vae. All three paint twice: in a style drawn around the contrast's mean, the default, and at that mean.
Dice: how well a segmenter that has seen real T1 heads alone finds the classes again, as a share of its Dice on the real scan.
Fréchet distance: a subject's scan against the real scans of all others; that of his real scan is the floor.
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
from scipy.ndimage import gaussian_filter

from medgen.anatomy.classes import NAMES, classes_of
from medgen.anatomy.head import with_head
from medgen.batch.apply import apply
from medgen.bundles import Bundle, open_bundle
from medgen.evaluation.distribution import frechet_distance
from medgen.evaluation.features import Extractor
from medgen.evaluation.sampling import cube
from medgen.evaluation.segmenter import Segmenter
from medgen.evaluation.statistics import summarise
from medgen.scans import Scan, read
from tests.benchmarks import spade_vae
from tests.benchmarks.features import Features, distance
from tests.benchmarks.numbers import write

JUDGED = range(1, 9)


def heads(data: Path) -> dict[str, tuple[Scan, np.ndarray]]:
    """Return the scan and the classes of each subject that has labels."""
    found = {}
    for path in sorted((data / "brain_t1").glob("*_T1.nii.gz")):
        labels = path.with_name(path.name.replace("_T1", "_DLMUSE"))
        if labels.exists():
            scan = read(path)
            classes = classes_of(np.asarray(read(labels).image[0]))
            found[path.name[:6]] = scan, with_head(classes, np.asarray(scan.image[0]), scan.spacing)
    return found


def gaussian(classes: np.ndarray, style: dict[str, Any], seed: int) -> np.ndarray:
    """Return intensities drawn label by label."""
    rng = RandomState(seed)
    mean, sd = np.asarray(style["mean"]), np.asarray(style["within"])
    return gaussian_filter(mean[classes] + sd[classes] * rng.standard_normal(classes.shape), 0.5).clip(0)


def dice(found: np.ndarray, wanted: np.ndarray) -> list[float]:
    """Return the Dice of each of the judged classes."""
    return [2 * np.sum((found == c) & (wanted == c)) / max(np.sum(found == c) + np.sum(wanted == c), 1) for c in JUDGED]


def painted(bundle: Bundle, scan: Scan, classes: np.ndarray) -> np.ndarray:
    """Return what the bundle paints of the classes."""
    labels = MetaTensor(torch.from_numpy(classes[None].astype(np.float32)), affine=scan.image.affine)
    return apply(bundle, replace(scan, image=labels)).images[""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rival", type=Path, help="weights of the generator without a discriminator")
    parser.add_argument("--spade-vae", type=Path, help="weights by tests.benchmarks.spade_vae")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    subjects = heads(options.data)
    made: dict[str, dict[str, np.ndarray]] = {"real": {name: np.asarray(scan.image[0]) for name, (scan, _) in subjects.items()}}
    for method, weights in (("bundle", None), ("without a discriminator", options.rival)):
        if method == "bundle" or weights:
            for told, settings in (("", {}), (", mean style", {"variation": 0})):
                bundle = open_bundle(options.bundle, "cpu", {"labels": "medgen", **settings})
                if weights:
                    bundle.network.load_state_dict(torch.load(weights, weights_only=True))
                made[method + told] = {name: painted(bundle, *pair) for name, pair in subjects.items()}
    if options.spade_vae:
        vae = spade_vae.network().eval()
        vae.load_state_dict(torch.load(options.spade_vae, weights_only=True))
        for told, drawn in (("", True), (", mean style", False)):
            made[f"SPADE-VAE{told}"] = {name: spade_vae.paint(vae, pair[1], k if drawn else None) for k, (name, pair) in enumerate(subjects.items())}
    style = bundle.get("styles")["T1"]
    made["Gaussian labels"] = {name: gaussian(pair[1], style, k) for k, (name, pair) in enumerate(subjects.items())}
    judge, extractor = Segmenter("brain-t1"), Extractor()
    how = extractor.sampling()
    scores: dict[str, dict[str, list[float]]] = {}
    features: dict[str, dict[str, Features]] = {}
    for method, images in made.items():
        scores[method], features[method] = {}, {}
        for name, image in images.items():
            scan, classes = subjects[name]
            affine = scan.image.affine.numpy()
            scores[method][name] = dice(judge.classes(image, affine), classes)
            features[method][name] = extractor.features(cube(image, affine, False, how), how)
    frechet = {method: {name: distance([features["real"][o] for o in subjects if o != name], features[method][name], frechet_distance)
                        for name in subjects} for method in made}  # fmt: skip
    rows = [{"method": method, "name": name, "dice": scores[method][name], "share": np.mean(scores[method][name]) / np.mean(scores["real"][name]),
             **{view: value for view, value in frechet[method][name].items()},
             **{f"{view} by floor": value / frechet["real"][name][view] for view, value in frechet[method][name].items()}}
            for method in made for name in subjects]  # fmt: skip
    print(f"{extractor.label}; {bundle.root.name}\n\n{table(rows)}")
    if options.picture:
        picture(options.picture, subjects, made)
    if options.output:
        write(options.output, "synthesis", bundle, rows)


def table(rows: list[dict[str, Any]]) -> str:
    """Return the table of the results, and a line of the Dice by class."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    count = len({row["name"] for row in rows})
    lines = ["| | n | Dice | share of real | FD 2.5D | times the floor | FD 3D | times the floor |", "|---|---|---|---|---|---|---|---|"]
    for method in methods:
        own = [row for row in rows if row["method"] == method]
        columns = [[float(np.mean(row["dice"])) for row in own], *([row[key] for row in own] for key in ("share", "2.5D", "2.5D by floor", "3D", "3D by floor"))]
        told = (summarise(column) for column in columns)
        lines.append(f"| {method} | {count} | " + " | ".join(f"{s['mean']:.3g} [{s['low']:.3g}, {s['high']:.3g}]" for s in told) + " |")
    by_class = {m: np.mean([row["dice"] for row in rows if row["method"] == m], axis=0) for m in methods}
    parts = ", ".join(f"{NAMES[c]} {by_class['bundle'][k]:.2f} ({by_class['real'][k]:.2f})" for k, c in enumerate(JUDGED))
    return "\n".join([*lines, "", f"Dice by class (of the real scans): {parts}."])


def picture(path: Path, subjects: dict[str, tuple[Scan, np.ndarray]], made: dict[str, dict[str, np.ndarray]]) -> None:
    """Draw three planes of the first subject by every method."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    name, (scan, classes) = next(iter(subjects.items()))
    shown = {"classes": classes, **{method: images[name] for method, images in made.items()}}
    figure, axes = pyplot.subplots(3, len(shown), figsize=(2.6 * len(shown), 7.8))
    turn = nib.orientations.io_orientation(scan.image.affine.numpy())
    for column, (method, image) in enumerate(shown.items()):
        grid = nib.orientations.apply_orientation(image, turn)
        bright = 16 if method == "classes" else np.percentile(grid[grid > 0], 99.5)
        for row in range(3):
            plane = np.take(grid, grid.shape[row] // 2 + (4 if row == 0 else 0), row)
            axes[row][column].imshow(np.rot90(plane), cmap="nipy_spectral" if method == "classes" else "gray", vmin=0, vmax=bright)
            axes[row][column].axis("off")
        axes[0][column].set_title(method)
    figure.tight_layout()
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    main()
