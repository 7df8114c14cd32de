"""What a scan that was painted from the phantom's labels has to be."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from medgen.batch.apply import apply
from medgen.bundles import open_bundle
from medgen.scans import read
from tests.slicer import phantom


def check_painted(file: Path, storage: str, bundle: str) -> None:
    """Check a T1 scan (.npy) at the labels' voxels: tissues as bright as they are in T1, in their places, and medgen's own values."""
    made, (labels, affine) = np.load(file), phantom.labels(storage)
    assert made.shape == labels.shape
    outside, ventricle, cortex, thalamus, white = (made[labels == number].mean() for number in (0, 4, 3, 10, 2))
    assert 0 <= outside < 100 < ventricle < cortex < thalamus < white < 600
    stored = file.with_suffix(".nii")
    nib.save(nib.Nifti1Image(labels, affine), stored)
    truth = apply(open_bundle(bundle, "cpu", {"contrast": "T1"}), read(stored)).images[""]
    assert np.abs(made - truth).max() <= 1  # whole numbers
