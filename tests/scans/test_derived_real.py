"""A derived series from each real DICOM series that can be read: sound to dciodvfy, and the same scan when read back."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from medgen.scans import Case, Scan, ScanError, find, read
from medgen.scans.deidentify import Deidentifier
from medgen.scans.dicom_seg import Segment, write_seg
from medgen.scans.dicom_write import write_dicom
from tests.scans.derived import MAKER, SAMPLES, assert_comes_back
from tests.scans.dicom_lint import dciodvfy, lint

ROOT = Path(__file__).parents[3] / "shared/data"
FOLDERS = [SAMPLES, *(ROOT / name for name in ("train/dicom", "dev/dicom", "loader_cases/dicom"))]


def cases() -> Iterator[tuple[str, Case]]:
    for folder in FOLDERS:
        if folder.is_dir():
            for case in find(folder).cases:
                if case.kind == "dicom":
                    yield f"{folder.parent.name}-{folder.name}-{case.name}", case


CASES = dict(cases())


def scan_of(name: str) -> Scan:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read(CASES[name])
        except ScanError as error:
            pytest.skip(f"is refused: {error.reason}")


def test_the_real_scans_are_here() -> None:
    if not ROOT.is_dir():
        pytest.skip("../shared/data is not here; only the samples are tried")
    assert len(CASES) >= 15


@pytest.mark.parametrize("name", CASES)
def test_a_real_series_comes_back_and_is_sound(name: str, tmp_path: Path) -> None:
    scan = scan_of(name)
    out = tmp_path / "out"
    array = scan.image[0].numpy()
    if scan.modality not in ("CT", "MR") or not scan.slices:
        with pytest.raises(ScanError, match="not CT or MR|is multi-frame DICOM"):
            write_dicom(out, array, scan, description="Noise removed", maker=MAKER)
        return
    write_dicom(out, array, scan, description="Noise removed", maker=MAKER)
    back = assert_comes_back(out, array, scan)
    assert back.dtype == scan.dtype
    assert lint(out, scan) == []
    files = sorted(out.iterdir())
    assert dciodvfy(files[0], files[len(files) // 2], files[-1]) == []


@pytest.mark.parametrize("name", CASES)
def test_a_real_series_without_its_patient_and_its_labels_are_sound(name: str, tmp_path: Path) -> None:
    pytest.importorskip("highdicom", reason="pip install medgen[dicom]")
    scan = scan_of(name)
    if scan.modality not in ("CT", "MR") or not scan.slices:
        pytest.skip("is no single-frame CT or MR")
    labels = (scan.image[0].numpy() > np.percentile(scan.image[0].numpy()[::4, ::4], 90)).astype(np.uint8)
    clean = Deidentifier().scan(scan)
    write_dicom(tmp_path / "clean", scan.image[0].numpy(), clean, description="Noise removed", maker=MAKER)
    assert dciodvfy(min((tmp_path / "clean").iterdir())) == []
    for number, like in enumerate((scan, clean)):
        write_seg(tmp_path / f"{number}.dcm", labels, like, {1: Segment("Bright")}, description="Bright", maker=MAKER)
        assert dciodvfy(tmp_path / f"{number}.dcm") == []
