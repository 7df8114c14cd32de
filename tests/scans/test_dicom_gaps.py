"""A DICOM series that lacks slices: refused, or for a repair put on its whole grid with the missing slices empty."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medgen.scans import Scan, ScanError, find, read
from medgen.scans.deidentify import Deidentifier
from tests.scans.derived import MAKER, write
from tests.scans.dicom_lint import dciodvfy
from tests.scans.phantoms import ORIENTATIONS, dicom_affine, enhanced, field, save_series, series

SHAPE, PIXEL, STEP, ORIGIN = (4, 6, 12), (2.0, 1.0), 3.0, (-12.0, 7.0, 10.0)


def without(folder: Path, missing: Collection[int], orientation: str = "axial", modality: str = "CT", depth: int = 12) -> Path:
    """Write a phantom series but for some slices."""
    slices = series(ORIENTATIONS[orientation], shape=(4, 6, depth), modality=modality)
    save_series([ds for z, ds in enumerate(slices) if z not in missing][::-1], folder)
    return folder


@pytest.mark.parametrize("orientation", ["axial", "double oblique"])
@pytest.mark.parametrize("missing", [(5,), (2, 6, 7), (1, 4, 7, 10)])
def test_missing_slices_are_empty_and_the_others_are_their_own(missing: tuple[int, ...], orientation: str, tmp_path: Path) -> None:
    whole = read(without(tmp_path / "whole", (), orientation), repair=True)
    assert whole.missing == ()
    scan = read(without(tmp_path / "gap", missing, orientation), repair=True)
    assert scan.missing == missing and "left to be filled" in scan.warnings[0]
    affine = dicom_affine(ORIENTATIONS[orientation], PIXEL, STEP, ORIGIN)
    np.testing.assert_allclose(scan.image.affine.numpy(), affine, atol=1e-4)
    there = [z for z in range(SHAPE[2]) if z not in missing]
    assert tuple(scan.image.shape) == (1, *SHAPE)
    np.testing.assert_array_equal(scan.image[..., there], whole.image[..., there])
    np.testing.assert_allclose(scan.image[0].numpy()[..., there], field(affine, SHAPE)[..., there], atol=0.03)
    assert (scan.image[..., list(missing)] == scan.image[..., there].min()).all()
    assert scan.dtype == whole.dtype and len(scan.slices) == SHAPE[2]


def far(slices: list[pydicom.Dataset], by: float) -> list[pydicom.Dataset]:
    """Leave out slice 5 and move those after it up."""
    for ds in slices[6:]:
        x, y, z = map(float, ds.ImagePositionPatient)
        ds.ImagePositionPatient = [x, y, z + by]
    return slices[:5] + slices[6:]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: far(s, 1.5), "no whole number of slices"),
        (lambda s: far(s, -3.0)[:4] + far(s, -1.0)[5:], "no whole number of slices"),
        (lambda s: s[:4] + far(s, -2.0)[4:], "unevenly spaced"),
        (lambda s: s[:2] + s[7:], "5 .*too many"),
        (lambda s: series(shape=(4, 6, 40))[:9] + series(shape=(4, 6, 40))[18:], "9 .*too many"),
        (lambda s: [s[z] for z in (0, 1, 3, 5, 6, 8, 10)], "4 .*too many"),
    ],
)
def test_other_gaps_stay_refused(change: Callable[[list[pydicom.Dataset]], list[pydicom.Dataset]], reason: str, tmp_path: Path) -> None:
    slices = series(shape=SHAPE)
    frame = {ds.FrameOfReferenceUID for ds in slices}.pop()
    changed = change(slices)
    for ds in changed:
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = slices[0].StudyInstanceUID, slices[0].SeriesInstanceUID, frame
    save_series(changed, tmp_path)
    with pytest.raises(ScanError, match=reason):
        read(tmp_path, repair=True)


def test_without_being_asked_a_gap_is_refused_and_the_way_out_named(tmp_path: Path) -> None:
    without(tmp_path, (5,))
    for permissive in (False, True):
        with pytest.raises(ScanError, match=r"1 slice\(s\) missing; complete the series, or fill it: medgen run"):
            read(tmp_path, permissive=permissive)


def test_frames_missing_in_an_enhanced_object_are_found_too(tmp_path: Path) -> None:
    save_series([enhanced([ds for z, ds in enumerate(series(shape=SHAPE, modality="MR")) if z not in (3, 4)])], tmp_path)
    scan = read(tmp_path, repair=True)
    assert scan.missing == (3, 4)
    assert [ds.get("ReferencedFrameNumber") for ds in scan.slices] == [1, 2, 3, None, None, *range(4, 11)]


@pytest.mark.parametrize("deidentified", [False, True])
def test_a_derived_series_is_whole_and_marks_what_was_missing(deidentified: bool, tmp_path: Path) -> None:
    scan: Scan = read(without(tmp_path / "in", (2, 6, 7)), repair=True)
    scan = Deidentifier().scan(scan) if deidentified else scan
    filled = scan.image[0].numpy().copy()
    filled[..., 2] = 7
    slices = write(tmp_path / "out", filled, scan, maker=MAKER)
    assert len({ds.SOPInstanceUID for ds in slices}) == 12 and len({ds.SeriesDescription for ds in slices}) == 1
    assert [z for z, ds in enumerate(slices) if ds.get("SyntheticData") == "YES"] == [2, 6, 7]
    assert [z for z, ds in enumerate(slices) if "SourceImageSequence" not in ds] == [2, 6, 7]
    assert [float(ds.ImagePositionPatient[2]) for ds in slices] == [10.0 + 3 * z for z in range(12)]
    (case,) = find([tmp_path / "out"]).cases
    back = read(case)
    np.testing.assert_allclose(back.image[0].numpy(), filled, atol=0.03)
    np.testing.assert_allclose(back.image.affine.numpy(), scan.image.affine.numpy(), atol=1e-4)
    if not deidentified:
        assert dciodvfy(tmp_path / "out/0003.dcm") == []
