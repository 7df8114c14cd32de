"""A derived series from each real DICOM series that can be read: sound to dciodvfy, and the same scan when read back."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from medgen.scans import Case, Scan, ScanError, find, read
from medgen.scans.deidentify import Deidentifier
from medgen.scans.dicom_seg import Segment, write_seg
from medgen.scans.dicom_write import write_dicom
from tests.scans.derived import MAKER, SAMPLES, assert_comes_back
from tests.scans.dicom_lint import dciodvfy, lint
from tests.scans.phantoms import RAS

ROOT = Path(os.environ.get("MEDGEN_SHARED", Path(__file__).parents[3] / "shared/data"))
FOLDERS = [SAMPLES, *(ROOT / name for name in ("train/dicom", "dev/dicom", "loader_cases/dicom"))]


def cases() -> Iterator[tuple[str, Case]]:
    """Yield the DICOM cases of each folder, of those with many volumes the first four."""
    count: Counter[Path] = Counter()
    for folder in FOLDERS:
        if folder.is_dir():
            for case in find(folder).cases:
                count[case.files[0].parent] += 1
                if case.kind == "dicom" and count[case.files[0].parent] <= 4:
                    yield f"{folder.parent.name}-{folder.name}-{case.name}", case


CASES = dict(cases())


def scan_of(name: str) -> Scan:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read(CASES[name])
        except ScanError as error:
            pytest.skip(f"is refused: {error.reason}")


def assert_is_what_gdcm_reads(folder: Path, scan: Scan) -> None:
    """Check the values and the place of a written series against another reader."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    np.testing.assert_allclose(scan.image.affine.numpy(), RAS @ affine, atol=0.02)
    stored = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
    np.testing.assert_allclose(scan.image[0].numpy(), stored, atol=1e-3, rtol=1e-5)


def test_the_real_scans_are_here() -> None:
    if not ROOT.is_dir():
        pytest.skip("../shared/data is not here; only the samples are tried")
    assert len(CASES) >= 15


@pytest.mark.parametrize("name", CASES)
def test_a_real_series_comes_back_and_is_sound(name: str, tmp_path: Path) -> None:
    scan = scan_of(name)
    out = tmp_path / "out"
    array = scan.image[0].numpy()
    if scan.modality not in ("CT", "MR"):
        with pytest.raises(ScanError, match="not CT or MR"):
            write_dicom(out, array, scan, description="Noise removed", maker=MAKER)
        return
    write_dicom(out, array, scan, description="Noise removed", maker=MAKER)
    back = assert_comes_back(out, array, scan)
    assert_is_what_gdcm_reads(out, back)
    assert back.dtype == scan.dtype
    assert lint(out, scan) == []
    files = sorted(out.iterdir())
    assert dciodvfy(files[0], files[len(files) // 2], files[-1]) == []


def read_back(folder: Path, scan: Scan, clean: Scan) -> tuple[Scan, ...]:
    """Return derived single-frame series of a multi-frame scan, which itself cannot have a SEG."""
    with pytest.raises(ScanError, match="write the image as DICOM first"):
        write_seg(folder / "refused.dcm", scan.image[0].numpy(), scan, {}, description="Bright", maker=MAKER)
    write_dicom(folder / "own", scan.image[0].numpy(), scan, description="Noise removed", maker=MAKER)
    return read(folder / "own"), read(folder / "clean")


@pytest.mark.parametrize("name", CASES)
def test_a_real_series_without_its_patient_and_its_labels_are_sound(name: str, tmp_path: Path) -> None:
    pytest.importorskip("highdicom", reason="pip install medgen[dicom]")
    scan = scan_of(name)
    if scan.modality not in ("CT", "MR"):
        pytest.skip("is no CT or MR")
    labels = (scan.image[0].numpy() > np.percentile(scan.image[0].numpy()[::4, ::4], 90)).astype(np.uint8)
    clean = Deidentifier().scan(scan)
    write_dicom(tmp_path / "clean", scan.image[0].numpy(), clean, description="Noise removed", maker=MAKER)
    assert dciodvfy(min((tmp_path / "clean").iterdir())) == []
    several_in_a_file = len({ds.SOPInstanceUID for ds in scan.slices}) < len(scan.slices)
    for number, like in enumerate(read_back(tmp_path, scan, clean) if several_in_a_file else (scan, clean)):
        write_seg(tmp_path / f"{number}.dcm", labels, like, {1: Segment("Bright")}, description="Bright", maker=MAKER)
        assert dciodvfy(tmp_path / f"{number}.dcm") == []
