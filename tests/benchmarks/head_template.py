"""Make the mean head that is put around brains without one, of the heads of many subjects:

    python -m tests.benchmarks.head_template TRAIN/brain_t1 medgen/anatomy/head.npz

Each T1 head with DLMUSE labels is laid in the frame by its deep structures; the class that most heads have in a voxel of 2 mm is
kept. It is nobody's head, and nobody's face.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.ndimage import affine_transform

from medgen.anatomy.classes import NAMES, classes_of
from medgen.anatomy.frame import to_frame
from medgen.anatomy.head import with_head

SHAPE, ORIGIN, STEP = (96, 120, 120), (-95.0, -125.0, -125.0), 2.0


def main() -> None:
    folder, output = Path(sys.argv[1]), Path(sys.argv[2])
    grid = np.diag([STEP, STEP, STEP, 1.0])
    grid[:3, 3] = ORIGIN
    votes, seen = np.zeros((len(NAMES), *SHAPE), np.float32), np.zeros(SHAPE, np.float32)
    for path in sorted(folder.glob("*_T1.nii.gz")):
        stored = nib.load(str(path).replace("_T1", "_DLMUSE"))
        labels, scan = np.asarray(stored.dataobj).astype(int), nib.load(path)
        classes = with_head(classes_of(labels, "dlmuse"), np.asarray(scan.dataobj, np.float32), scan.header.get_zooms())
        back = np.linalg.inv(stored.affine) @ np.linalg.inv(to_frame(labels, stored.affine, "dlmuse")) @ grid
        inside = affine_transform(np.ones(labels.shape, np.float32), back, output_shape=SHAPE, order=0)
        for number in np.unique(classes):
            votes[number] += affine_transform((classes == number).astype(np.float32), back, output_shape=SHAPE, order=1) * inside
        seen += inside
    votes[0] += 0.01
    mean = votes.argmax(0).astype(np.uint8)
    mean[seen < 4] = 255  # below the field of view of nearly all
    np.savez_compressed(output, head=mean, affine=grid)
    print(output.stat().st_size, np.bincount(mean.ravel())[:17])


if __name__ == "__main__":
    main()
