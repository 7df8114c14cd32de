"""Prepare what brain_mri_synthesis_spade is trained with: scans with white matter at 0.5, and their classes, at 2 mm in RAS+:

    python -m tests.benchmarks.brain_pairs --data TRAIN -o PAIRS

writes NAME_CONTRAST.nii.gz and NAME_CONTRAST_classes.nii.gz. The T1 heads' classes are their DLMUSE labels and the head around
them (medgen.anatomy.head); those of the multi-contrast scans are medgen's own segmentation of their T1, or where a scan stands
alone of itself, with the lesion map that comes with them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.ndimage import zoom

from medgen.anatomy.classes import classes_of
from medgen.anatomy.head import with_head
from medgen.evaluation.segmenter import Segmenter
from medgen.transforms.style import LEVEL, WHITE

NAMED = {"T1POST": "T1c", "T1W": "T1", "T2W": "T2", "T1": "T1", "T2": "T2", "FLAIR": "FLAIR"}


def canonical(path: Path) -> nib.Nifti1Image:
    return nib.as_closest_canonical(nib.load(path))


def at_2mm(image: np.ndarray, affine: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an array and affine at about 2 mm: blocks averaged where the voxels are finer, lines drawn where coarser."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    blocks = [max(1, round(2 / s)) for s in spacing]
    image = image[tuple(slice(0, n - n % b) for n, b in zip(image.shape, blocks))]
    if order == 0:
        image = image[tuple(slice(b // 2, None, b) for b in blocks)]
    else:
        for axis, b in enumerate(blocks):
            image = image.reshape(*image.shape[:axis], -1, b, *image.shape[axis + 1 :]).mean(axis + 1)
    step = spacing * blocks
    factors = [s / 2 if s > 2.5 else 1.0 for s in step]
    image = zoom(image, factors, order=order)
    out = affine @ np.diag([*(b / f for b, f in zip(blocks, factors)), 1])
    return image, out


def save(folder: Path, name: str, image: np.ndarray, classes: np.ndarray, affine: np.ndarray) -> None:
    image = image.clip(0) * (LEVEL / np.median(image[classes == WHITE]))
    nib.save(nib.Nifti1Image(image.clip(0, 4).astype(np.float32), affine), folder / f"{name}.nii.gz")
    nib.save(nib.Nifti1Image(classes.astype(np.uint8), affine), folder / f"{name}_classes.nii.gz")
    print(name, image.shape, np.bincount(classes.ravel(), minlength=17).tolist(), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for path in sorted((options.data / "brain_t1").glob("*_T1.nii.gz")):
        labels = path.with_name(path.name.replace("_T1", "_DLMUSE"))
        if labels.exists():
            scan = canonical(path)
            image = np.asarray(scan.dataobj, np.float32)
            classes = with_head(classes_of(np.asarray(canonical(labels).dataobj)), image, scan.header.get_zooms())
            save(options.output, path.name.split(".")[0], image, classes, scan.affine)
    segmenters = {name: Segmenter(name) for name in ("brain-t1", "brain-any")}
    known: dict[str, np.ndarray] = {}
    for path in sorted((options.data / "brain_multicontrast").glob("*.nii.gz"), key=lambda p: (p.name.split("_")[0], "_T1_" not in p.name, p.name)):
        contrast = next((NAMED[part] for part in path.name.split(".")[0].split("_") if part in NAMED), None)
        if contrast is None or "lesion" in path.name:
            continue
        scan = canonical(path)
        image, affine = at_2mm(np.asarray(scan.dataobj, np.float32), scan.affine, 1)
        bare = path.name.startswith(("cs_", "cstar_"))
        subject = "_".join(path.name.split("_")[:2])
        if bare and subject in known:
            classes = known[subject]
        else:
            classes = segmenters["brain-t1" if contrast == "T1" else "brain-any"].classes(image, affine)
            lesion = path.with_name(f"{subject}_lesion_MNI.nii.gz")
            if bare:
                classes = np.where(image > 0.02 * np.percentile(image, 99), np.where(classes > 9, 9, classes), 0)
                if lesion.exists():
                    there = canonical(lesion)
                    classes = np.where(at_2mm(np.asarray(there.dataobj, np.float32), there.affine, 1)[0] > 0.5, 13, np.where(classes == 13, 2, classes))
                known[subject] = classes
        save(options.output, f"{'_'.join(path.name.split('.')[0].split('_')[:3])}_{contrast}", image, classes, affine)


if __name__ == "__main__":
    main()
