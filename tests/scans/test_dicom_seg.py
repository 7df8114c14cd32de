from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medgen.scans import Scan, ScanError, read
from medgen.scans.deidentify import Deidentifier
from medgen.scans.dicom_derived import Maker
from medgen.scans.dicom_seg import Segment, write_seg
from tests.scans.dicom_lint import dciodvfy
from tests.scans.phantoms import ORIENTATIONS, SECRETS, enhanced, nifti_affine, nifti_image, save_series, series

hd = pytest.importorskip("highdicom", reason="pip install medgen[dicom]")
MAKER = Maker("a_bundle", "1.2.3", "ab" * 32)
SEGMENTS = {2: Segment("Brain"), 300: Segment("Lesion", ("49755003", "SCT", "Morphologically Abnormal Structure"),
                                              ("52988006", "SCT", "Lesion")), 7: Segment("Not there")}  # fmt: skip


def scan_of(folder: Path, **options: object) -> Scan:
    save_series(series(**options), folder)  # type: ignore[arg-type]
    return read(folder)


def labels_of(scan: Scan) -> np.ndarray:
    labels = np.zeros(scan.image.shape[1:], dtype=np.int32)
    labels[1:3, 2:5, 1:4], labels[0, :2, 2:] = 2, 300
    return labels


def back(path: Path, scan: Scan) -> np.ndarray:
    """Return the segment numbers of a SEG, voxel by voxel where `scan` has its own."""
    volume = hd.seg.segread(path).get_volume(combine_segments=True)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ scan.image.affine.numpy()
    places = np.linalg.inv(lps) @ volume.affine
    found = np.zeros(scan.image.shape[1:], dtype=int)
    for index in np.argwhere(volume.array):
        where = (places @ [*index, 1])[:3]
        np.testing.assert_allclose(where, np.rint(where), atol=1e-3)
        found[tuple(np.rint(where).astype(int))] = volume.array[tuple(index)]
    return found


@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize("orientation", ["axial", "sagittal", "double oblique"])
def test_labels_come_back_where_they_were(orientation: str, modality: str, tmp_path: Path) -> None:
    scan = scan_of(tmp_path / "in", orientation=ORIENTATIONS[orientation], modality=modality)
    labels = labels_of(scan)
    write_seg(tmp_path / "seg.dcm", labels, scan, SEGMENTS, description="Lesions found", maker=MAKER)
    assert dciodvfy(tmp_path / "seg.dcm") == []
    expected = np.select([labels == 2, labels == 300], [1, 3])
    np.testing.assert_array_equal(back(tmp_path / "seg.dcm", scan), expected)
    ds = pydicom.dcmread(tmp_path / "seg.dcm")
    assert [s.SegmentLabel for s in ds.SegmentSequence] == ["Brain", "Not there", "Lesion"]
    assert ds.SeriesDescription == "Lesions found - RESEARCH USE ONLY"
    assert ds.StudyInstanceUID == scan.slices[0].StudyInstanceUID
    assert ds.FrameOfReferenceUID == scan.slices[0].FrameOfReferenceUID
    assert ds.ContributingEquipmentSequence[-1].Manufacturer == "medgen"
    assert MAKER.weights_sha256 in ds.ContributingEquipmentSequence[-1].ContributionDescription
    assert {i.ReferencedSOPInstanceUID for i in ds.SourceImageSequence} == {s.SOPInstanceUID for s in scan.slices}


@pytest.mark.parametrize(("charset", "name"), [("ISO_IR 144", "Люкceмбypг"), ("ISO_IR 192", "山田^太郎"), (None, "Müller")])
@pytest.mark.filterwarnings("ignore")
def test_names_in_other_alphabets_stay_right(charset: str | None, name: str, tmp_path: Path) -> None:
    slices = series()
    for ds in slices:
        if charset:
            ds.SpecificCharacterSet = charset
        ds.PatientName = name
    save_series(slices, tmp_path / "in")
    scan = read(tmp_path / "in")
    write_seg(tmp_path / "seg.dcm", labels_of(scan), scan, SEGMENTS, description="Läsion", maker=MAKER)
    assert str(pydicom.dcmread(tmp_path / "seg.dcm").PatientName) == name
    assert dciodvfy(tmp_path / "seg.dcm") == []


def test_without_the_patient_nothing_of_it_is_left(tmp_path: Path) -> None:
    scan = Deidentifier().scan(scan_of(tmp_path / "in"))
    write_seg(tmp_path / "seg.dcm", labels_of(scan), scan, SEGMENTS, description="x", maker=MAKER)
    assert dciodvfy(tmp_path / "seg.dcm") == []
    stored = (tmp_path / "seg.dcm").read_bytes()
    assert not [secret for secret in SECRETS if secret.encode() in stored]
    ds = pydicom.dcmread(tmp_path / "seg.dcm")
    assert ds.PatientIdentityRemoved == "YES" and ds.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
    assert ds.ContentDate == "19000101" and not ds.get("StudyDate") and "InstanceCreationDate" not in ds


def test_what_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = scan_of(tmp_path / "in")
    labels = labels_of(scan)
    path = tmp_path / "seg.dcm"
    with pytest.raises(ScanError, match="no name: 300"):
        write_seg(path, labels, scan, {2: Segment("Brain")}, description="x", maker=MAKER)
    with pytest.raises(ScanError, match="none but 0"):
        write_seg(path, labels * 0, scan, SEGMENTS, description="x", maker=MAKER)
    with pytest.raises(ScanError, match="shape"):
        write_seg(path, labels[1:], scan, SEGMENTS, description="x", maker=MAKER)
    nifti_image(nifti_affine()).to_filename(tmp_path / "a.nii")
    bare = read(tmp_path / "a.nii")
    with pytest.raises(ScanError, match="no DICOM headers"):
        write_seg(path, np.ones(bare.image.shape[1:], int), bare, {1: Segment("x")}, description="x", maker=MAKER)
    save_series([enhanced(series())], tmp_path / "frames")
    frames = read(tmp_path / "frames")
    with pytest.raises(ScanError, match="is multi-frame DICOM or a mosaic; write the image as DICOM first, and read it back"):
        write_seg(path, labels_of(frames), frames, SEGMENTS, description="x", maker=MAKER)
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(ScanError, match=r"pip install medgen\[dicom\]"):
        write_seg(path, labels, scan, SEGMENTS, description="x", maker=MAKER)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.nii", "frames", "in"]
