"""Measure what `medgen describe` is sure of, on real scans:

    python -m tests.benchmarks.describe sides DATA       # class maps of DLMUSE heads, sides taken off and the heads turned
    python -m tests.benchmarks.describe contrast DATA    # every scan whose file name tells its contrast
    python -m tests.benchmarks.describe normal DATA      # the constants of medgen/synthesis/ventricles.py
    python -m tests.benchmarks.describe ventricles DATA  # the segmenter with and without `outlined` against DLMUSE, and lesions that are none

DATA holds brain_t1 and brain_multicontrast (and mr_other), such as train or dev.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import nibabel as nib
import numpy as np

from medgen.anatomy.classes import classes_of
from medgen.anatomy.places import lobe_map
from medgen.anatomy.sides import PAIRS, midplane
from medgen.evaluation.segmenter import Segmenter
from medgen.synthesis.contrast import contrast_of
from medgen.synthesis.halves import symmetry_plane, with_sides
from medgen.synthesis.ventricles import outlined, ventricles
from tests.benchmarks.corrupt import turn

CONTRASTS = {"T1POST": "T1c", "T1W": "T1", "T1w": "T1", "T2W": "T2", "T2w": "T2", "T1": "T1", "T2": "T2", "FLAIR": "FLAIR"}


def heads(data: Path) -> list[tuple[Path, np.ndarray, np.ndarray]]:
    """Return scan, DLMUSE labels and affine of each head that has labels."""
    maps = [nib.load(path) for path in sorted((data / "brain_t1").glob("*_DLMUSE.nii.gz"))]
    return [(Path(m.get_filename().replace("_DLMUSE", "_T1")), np.asarray(m.dataobj).astype(int), m.affine) for m in maps]


def turned(affine: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    out = np.eye(4)
    out[:3, :3] = turn(rng.uniform(-15, 15, 3))
    return out @ affine


def sides(data: Path) -> None:
    rng = np.random.default_rng(0)
    for path, labels, affine in heads(data):
        affine = turned(affine, rng)
        classes = classes_of(labels, "dlmuse")
        normal, _ = symmetry_plane(classes, affine)
        found = with_sides(classes, affine)
        left, right = (np.isin(labels, numbers) for numbers in zip(*PAIRS["dlmuse"]))
        said_left, said_right = (np.isin(found, numbers) for numbers in zip(*PAIRS["freesurfer"]))
        wrong = ((left & said_right) | (right & said_left)).sum() / (left | right).sum()
        angle = np.degrees(np.arccos(min(normal @ midplane(labels, affine, "dlmuse")[0], 1)))
        lobes = [lobe_map(m, affine, scheme) for m, scheme in ((labels, "dlmuse"), (found, "freesurfer"))]
        both = (lobes[0] > 0) & (lobes[1] > 0)
        lateral = [ventricles(m, affine, scheme).ml for m, scheme in ((labels, "dlmuse"), (found, "freesurfer"))]
        print(f"{path.name[:6]} plane {angle:.1f} degrees off, {wrong:.2%} of voxels on the wrong side, {np.mean(lobes[0][both] == lobes[1][both]):.1%} "
              f"in the right lobe, lateral ventricles {lateral[1] / lateral[0]:.2f} of DLMUSE's", flush=True)  # fmt: skip


def contrast(data: Path) -> None:
    segmenter, right, count = Segmenter("brain-any"), 0, 0
    for path in sorted(p for room in ("brain_t1", "brain_multicontrast", "mr_other") for p in (data / room).glob("*.nii.gz")):
        named = [CONTRASTS[part] for part in path.name.split(".")[0].split("_") if part in CONTRASTS]
        if not named or "lesion" in path.name:
            continue
        scan = nib.load(path)
        image = np.asarray(scan.dataobj, np.float32)
        found = contrast_of(image, segmenter.classes(image, scan.affine))
        right, count = right + (found.contrast == named[0]), count + 1
        print(f"{path.name} {named[0]} -> {found.contrast} cortex {found.grey:.2f} fluid {found.fluid:.2f} vessels {found.vessels:.2f}", flush=True)
    print(f"{right} of {count}")


def normal(data: Path) -> None:
    with (data / "brain_t1" / "participants.csv").open() as table:
        ages = {row["MRID"]: float(row["Age"]) for row in csv.DictReader(table)}
    found = [(ages[path.name.replace("_T1.nii.gz", "")], ventricles(labels, affine, "dlmuse")) for path, labels, affine in heads(data)]
    years = np.array([age for age, _ in found])
    share = np.array([v.ml / v.brain_ml for _, v in found])
    unequal = np.log([v.left_ml / v.right_ml for _, v in found])
    print(f"{len(found)} heads of {years.min():.0f} to {years.max():.0f} years: median share {np.median(share):.5f}, SD of its logarithm "
          f"{np.log(share).std(ddof=1):.3f}, {share.min():.4f} to {share.max():.4f}; ln(left / right) {unequal.mean():.3f}, SD "
          f"{unequal.std(ddof=1):.3f}, {unequal.min():.2f} to {unequal.max():.2f}")  # fmt: skip
    design = np.c_[np.ones(len(share)), np.log(share)]
    rest = []
    for n in range(len(share)):
        others = np.arange(len(share)) != n
        rest.append(years[n] - design[n] @ np.linalg.lstsq(design[others], years[others], rcond=None)[0])
    error = np.sqrt(np.mean(np.square(rest)))
    print(f"age: {np.linalg.lstsq(design, years, rcond=None)[0].round(2)}; left out: error {error:.2f} years, 90 % within {1.645 * error:.1f}, "
          f"R2 {1 - np.sum(np.square(rest)) / np.sum((years - years.mean()) ** 2):.2f}")  # fmt: skip


def against_dlmuse(data: Path) -> None:
    segmenter, found = Segmenter("brain-any"), []
    for path, labels, affine in heads(data):
        image = np.asarray(nib.load(path).dataobj, np.float32)
        seen, truth = segmenter.classes(image, affine), classes_of(labels, "dlmuse") == 3
        row = [ventricles(labels, affine, "dlmuse").ml]
        for classes in (seen, outlined(image, seen, affine)):
            own = classes == 3
            row += [ventricles(with_sides(classes, affine), affine, "freesurfer").ml, 2 * (own & truth).sum() / (own.sum() + truth.sum())]
        found.append(row)
        print(f"{path.name[:6]} lateral ventricles {row[0]:.1f} ml by DLMUSE, {row[1]:.1f} by the segmenter (Dice of all ventricles {row[2]:.2f}), "
              f"{row[3]:.1f} with their outline from the image ({row[4]:.2f}); {int(np.isin(seen, (13, 14, 15, 16)).sum())} voxels of lesions", flush=True)  # fmt: skip
    mean, r = np.mean(found, axis=0), np.corrcoef(np.transpose(found))
    print(f"segmenter: r = {r[0, 1]:.3f}, Dice {mean[2]:.2f}; with the outline from the image: r = {r[0, 3]:.3f}, Dice {mean[4]:.2f}")


if __name__ == "__main__":
    {"sides": sides, "contrast": contrast, "normal": normal, "ventricles": against_dlmuse}[sys.argv[1]](Path(sys.argv[2]))
