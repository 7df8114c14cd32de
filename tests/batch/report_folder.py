"""A folder as `medgen run` leaves it, with its inputs and their truth, of small scans with known numbers."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np

from medgen.batch.sidecar import versions

BUNDLE = "mr_denoise_vae"
SHAPE = (22, 24, 20)
AFFINE = np.array([[0, 0, 1.5, -14], [-1.2, 0, 0, 12], [0, 1.0, 0, -11], [0, 0, 0, 1]], dtype=float)
WRONG = {"input": 30.0, "result": 10.0}  #: the mean absolute error of each
NAMES = ("sub-01", "sub-02", "sub-03", "sub-04")


def truth(number: int) -> np.ndarray:
    """Return a ball of stripes in air, each scan with another level."""
    x, y, z = np.indices(SHAPE) - np.reshape([11, 12, 10], (3, 1, 1, 1))
    inside = x**2 + y**2 + z**2 < 80
    return (inside * (500 + 100 * np.sin(y) + 10 * number + 5 * x) + 50).astype(np.float32)


def signs(number: int) -> np.ndarray:
    return np.random.RandomState(number).choice([-1.0, 1.0], SHAPE).astype(np.float32)


def save(path: Path, image: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(image.astype(np.float32), affine), path)


def sidecar(name: str, score: float = 1.0) -> dict[str, object]:
    return {
        "derived": True, "synthetic": False, "bundle": BUNDLE, "bundle_version": "9.8.7", "weights_sha256": "ab" * 32,
        "input_sha256": "cd" * 32, "modality": "MR", "units": "arbitrary", "shape": list(SHAPE), "spacing_mm": [1.2, 1.0, 1.5],
        "orientation": "PSR", "dtype": "float32", "warnings": [], "outputs": {"image": f"{name}.nii.gz"},
        "parameters": {"samples": 8, "seed": 0}, "report": {"unlike_training": {"score": score, "limit": 4.5, "most_in": "noise"}},
        "device": "cpu", "seconds": 12.5, "libraries": versions(),
    }  # fmt: skip


def fill(folder: Path) -> Path:
    """Write scans/, clean/ and out/, and return the folder. One scan is unlike the training."""
    for number, name in enumerate(NAMES):
        result = f"{name}_{BUNDLE}"
        save(folder / f"clean/{name}.nii.gz", truth(number))
        for which, where in (("input", f"scans/{name}"), ("result", f"out/{result}")):
            save(folder / f"{where}.nii.gz", truth(number) + WRONG[which] * signs(number))
        save(folder / f"out/{result}_uncertainty.nii.gz", np.full(SHAPE, 8.0))  # 1.645 x 8 is more than the error of 10
        (folder / f"out/{result}.json").write_text(json.dumps(sidecar(result, score=9.0 if number == 2 else 1.0)))
    return folder
