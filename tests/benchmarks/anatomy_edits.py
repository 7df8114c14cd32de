"""What the edits of anatomy obtain of what is asked for, on real label maps.

    python -m tests.benchmarks.anatomy_edits FOLDER_WITH_DLMUSE_MAPS [--maps 5]
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path

import nibabel as nib
import numpy as np
import torch

from medgen.anatomy.atrophy import lose_tissue
from medgen.anatomy.lesions import place_lesion
from medgen.anatomy.midline import shift_midline
from medgen.anatomy.sides import within_skull
from medgen.anatomy.ventricles import scale_ventricles

LESIONS = ((6, "ms-like", "left", "periventricular"), (12, "ms-like", "right", "frontal"), (25, "stroke-like", "left", "parietal"),
           (30, "tumour-like", "right", "temporal"), (10, "stroke-like", "left", "cerebellum"))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--maps", type=int, default=5)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    rows: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for path in sorted(chosen.folder.glob("*_DLMUSE.nii.gz"))[: chosen.maps]:
        image = nib.load(path)
        labels, affine = np.asarray(image.dataobj).astype(np.int16), image.affine
        inside = within_skull(labels, "dlmuse")

        def note(name: str, error: float, started: float, edited) -> None:  # type: ignore[no-untyped-def]
            assert np.array_equal(edited.labels[~inside], labels[~inside]) or name.startswith("lesion"), "something moved outside of the skull"
            rows[name].append((abs(error), edited.report.get("smallest_jacobian", np.nan), time.process_time() - started))

        for factor, side in ((0.5, None), (2.0, None), (2.0, "left"), (4.0, None)):
            started = time.process_time()
            edited = scale_ventricles(labels, affine, "dlmuse", factor, side)
            note(f"ventricles x {factor:g} {side or 'both'}: % of volume", 100 * (edited.report["obtained_factor"] / factor - 1), started, edited)
        for loss, place in ((0.06, None), (0.1, "temporal")):
            started = time.process_time()
            edited = lose_tissue(labels, affine, "dlmuse", loss, place=place)
            note(f"atrophy {loss:.0%} {place or 'brain'}: % of tissue", 100 * (edited.report["obtained_loss"] - loss), started, edited)
        for mm in (5.0, 12.0):
            started = time.process_time()
            edited = shift_midline(labels, affine, "dlmuse", mm, "left")
            note(f"midline {mm:g} mm: mm", edited.report["obtained_mm"] - mm, started, edited)
        for seed, (mm, kind, side, place) in enumerate(LESIONS):
            started = time.process_time()
            edited = place_lesion(labels, affine, "dlmuse", mm, kind=kind, side=side, place=place, seed=seed)
            note(f"lesion {mm:g} mm {place}: mm", edited.report["obtained_mm"] - mm, started, edited)
    print("edit: error in\tmean\tlargest\tsmallest Jacobian\tCPU s")
    for name, found in rows.items():
        errors, folds, seconds = np.array(found).T
        print(f"{name}\t{errors.mean():.3f}\t{errors.max():.3f}\t{np.min(folds):.3f}\t{seconds.mean():.1f}")


if __name__ == "__main__":
    main()
