"""The JSON file beside each result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from medgen import __version__
from medgen.scans import Scan
from medgen.scans.whole import whole_file

LIBRARIES = ("monai", "torch", "numpy", "nibabel", "pydicom", "simpleitk")


def describe(scan: Scan) -> dict[str, Any]:
    """Return what a scan is, in words and numbers that are free of patient data and paths."""
    affine = scan.image.affine.numpy().astype(float)
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    tilt = np.rad2deg(np.arccos(np.clip(np.abs(axes).max(0), 0, 1)).max())
    return {
        "modality": scan.modality,
        "units": scan.units,
        "shape": list(scan.image.shape[1:]),
        "volumes": len(scan.image),
        "spacing_mm": [round(value, 6) for value in scan.spacing],
        "orientation": "".join(nib.aff2axcodes(affine)),
        "oblique_degrees": round(float(tilt), 2),
        "dtype": str(scan.dtype),
        "warnings": list(scan.warnings),
    }


def versions() -> dict[str, str]:
    """Return the versions of medgen and of the libraries that its results depend on."""
    return {"medgen": __version__, **{name: version(name) for name in LIBRARIES}}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all; a `ScanError` where the folder cannot be written to."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
