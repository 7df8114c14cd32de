"""Derived series for the tests: made from phantoms or samples, and read back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from medgen.scans import Scan, read
from medgen.scans.dicom_derived import Maker
from medgen.scans.dicom_write import write_dicom
from tests.scans.phantoms import save_series, series

SAMPLES = Path(__file__).parents[2] / "sample_data"
MAKER = Maker("a_bundle", "1.2.3", "ab" * 32)


def write(folder: Path, array: np.ndarray, like: Scan, **options: object) -> list[Dataset]:
    write_dicom(folder, array, like, **{"description": "Noise removed", "maker": MAKER, **options})  # type: ignore[arg-type]
    return [pydicom.dcmread(path) for path in sorted(folder.iterdir())]


def source(folder: Path, change: Callable[[Dataset], None] | None = None, **options: object) -> Scan:
    slices = series(**options)  # type: ignore[arg-type]
    for ds in slices:
        ds.PatientSex, ds.StudyDate, ds.StudyTime, ds.BodyPartExamined = "O", "20200102", "101112", "HEAD"
        ds.Manufacturer, ds.ManufacturerModelName, ds.StudyID = "Scanner Works", "S1", "7"
        if change:
            change(ds)
    save_series(slices, folder)
    return read(folder)


def step(ds: Dataset) -> float:
    return abs(float(ds.get("RescaleSlope", 1)))


def assert_comes_back(folder: Path, array: np.ndarray, like: Scan) -> Scan:
    back = read(folder)
    ds = pydicom.dcmread(next(iter(sorted(folder.iterdir()))))
    tolerance = step(ds) / 2 * 1.001 + 1e-6 * np.abs(array).max()
    np.testing.assert_allclose(back.image[0].numpy(), array, atol=tolerance, rtol=0)
    np.testing.assert_array_equal(back.image.affine.numpy(), like.image.affine.numpy())
    assert back.modality == like.modality and back.units == like.units
    return back
