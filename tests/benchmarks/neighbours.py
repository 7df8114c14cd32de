"""Describe the scans that a bundle was trained with, so that it can tell copies of them (medgen.synthesis.copies):

    python -m tests.benchmarks.neighbours PAIRS bundles/brain_mri_synthesis_spade/models/training_scans.npz

PAIRS is what tests.benchmarks.brain_pairs wrote. What is kept is smoothed blocks of 8 mm and mean features, nobody's scan.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import nibabel as nib
import numpy as np

from medgen.evaluation.features import Extractor
from medgen.synthesis.copies import described, limits


def main() -> None:
    pairs, output = Path(sys.argv[1]), Path(sys.argv[2])
    extractor = Extractor()
    names, images, features = [], [], []
    for path in sorted(pairs.glob("*_classes.nii.gz")):
        scan = nib.load(str(path).replace("_classes", ""))
        image, feature = described(np.asarray(scan.dataobj, np.float32), scan.affine, extractor)
        names.append("_".join(path.name.split("_")[:2]) if path.name.startswith(("cs_", "long_")) else path.name.split("_")[0])
        images.append(image)
        features.append(feature)
    numbers = np.unique(names, return_inverse=True)[1]
    near = limits(np.array(images), np.array(features), numbers)
    np.savez_compressed(output, images=np.float16(images), features=np.float16(features), limits=near, extractor=extractor.sha256)
    print(len(names), "scans; limits", near)
    print(hashlib.sha256(output.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
