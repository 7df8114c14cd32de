from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medgen.scans import Scan, ScanError, read
from medgen.scans.deidentify import Deidentifier
from medgen.scans.dicom_derived import Maker
from medgen.scans.dicom_write import write_dicom
from tests.scans.dicom_lint import dciodvfy, lint
from tests.scans.phantoms import nifti_affine, nifti_image, save_series, series

MAKER = Maker("a_bundle", "1.2.3", "ab" * 32)
CANARIES = ("SecretName", "SECRET-ID", "19330712", "071213", "1.2.840.99.")  #: names and texts, IDs, dates, times, UIDs
#: what a volume is read by, which a canary would break
READ_BY = ("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "Modality",
           "FrameOfReferenceUID", "Units", "RescaleType", "PatientName", "PatientID", "TimezoneOffsetFromUTC")  # fmt: skip


def canary(vr: str) -> str | None:
    if vr in ("PN", "LO", "ST", "LT", "UT", "UC", "SH"):
        return CANARIES[0]
    return {"AE": CANARIES[1], "DA": CANARIES[2], "TM": CANARIES[3], "DT": CANARIES[2] + CANARIES[3],
            "UI": CANARIES[4] + "7", "UR": f"http://{CANARIES[0]}"}.get(vr)  # fmt: skip


def plant(ds: Dataset, nested: bool = True) -> Dataset:
    """Put a canary into every attribute of the data dictionary that can hold one, once more in a sequence, and privately."""
    for tag, (vr, _, _, _, keyword) in DicomDictionary.items():
        if tag >> 16 in (0x0008, 0x0010, 0x0012, 0x0018, 0x0020, 0x0032, 0x0038, 0x0040) and keyword not in (*READ_BY, ""):
            value = canary(vr)
            if value is not None:
                ds.add_new(tag, vr, value)
    block = ds.private_block(0x0029, "SecretName CREATOR", create=True)
    block.add_new(1, "LO", CANARIES[0])
    if nested:
        for keyword in ("AnatomicRegionSequence", "RequestAttributesSequence", "OtherPatientIDsSequence",
                        "ContributingEquipmentSequence", "ContrastBolusAgentSequence"):  # fmt: skip
            setattr(ds, keyword, Sequence([plant(Dataset(), nested=False)]))
        ds.PatientName, ds.PatientID = "SecretName^Anna", "SECRET-ID"
    return ds


def planted(folder: Path, modality: str = "MR", patient: str = "SECRET-ID", study: str = "1.2.840.99.1") -> Scan:
    slices = series(modality=modality)
    for z, ds in enumerate(slices):
        plant(ds)
        ds.PatientID, ds.StudyInstanceUID, ds.SeriesInstanceUID = patient, study, f"{study}.2"
        ds.FrameOfReferenceUID, ds.SOPInstanceUID = f"{study}.3", f"{study}.4.{z}"
        ds.PatientWeight, ds.EchoTime, ds.BodyPartExamined = "71.5", "90", "HEAD"
    save_series(slices, folder)
    return read(folder)


def secrets_in(path: Path) -> list[str]:
    stored = path.read_bytes().lower()
    return [secret for secret in CANARIES if secret.lower().encode() in stored]


@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.filterwarnings("ignore")
def test_no_canary_is_left_in_a_written_series(modality: str, tmp_path: Path) -> None:
    scan = planted(tmp_path / "in", modality)
    assert secrets_in(min((tmp_path / "in").iterdir())) == list(CANARIES)
    clean = Deidentifier().scan(scan)
    write_dicom(tmp_path / "out", clean.image[0].numpy(), clean, description="Noise removed", maker=MAKER)
    files = sorted((tmp_path / "out").iterdir())
    assert [secrets_in(file) for file in files] == [[]] * len(files)
    assert dciodvfy(*files) == []
    assert lint(tmp_path / "out", clean) == []
    back = read(tmp_path / "out")
    np.testing.assert_allclose(back.image, scan.image, atol=0.51)
    np.testing.assert_array_equal(back.image.affine, scan.image.affine)
    ds = pydicom.dcmread(files[0])
    assert ds.PatientIdentityRemoved == "YES" and ds.LongitudinalTemporalInformationModified == "REMOVED"
    assert ds.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
    assert str(ds.PatientName).startswith("Anonymous^") and ds.PatientID.startswith("ANON-")
    assert not any(e.VR in ("DA", "TM", "DT") and e.value for e in ds.iterall()) and "PatientWeight" not in ds
    if modality == "MR":
        assert ds.EchoTime == 90 and ds.BodyPartExamined == "HEAD"  # what describes the image stays


@pytest.mark.filterwarnings("ignore")
def test_names_and_uids_hold_together_within_a_run_only(tmp_path: Path) -> None:
    a, b = planted(tmp_path / "a"), planted(tmp_path / "b", study="1.2.840.99.2")
    c = planted(tmp_path / "c", patient="SECRET-ID 2")
    run, other = Deidentifier(), Deidentifier()
    first = [run.scan(scan).slices[0] for scan in (a, b, c)]
    assert first[0].PatientID == first[1].PatientID != first[2].PatientID
    assert first[0].StudyInstanceUID == first[2].StudyInstanceUID != first[1].StudyInstanceUID
    assert run.scan(a).slices[1].SOPInstanceUID == run.scan(a).slices[1].SOPInstanceUID
    assert len({ds.SOPInstanceUID for ds in run.scan(a).slices}) == len(a.slices)
    assert other.scan(a).slices[0].StudyInstanceUID != first[0].StudyInstanceUID
    assert other.scan(a).slices[0].PatientID != first[0].PatientID
    assert run.scan(a).sha256 not in (a.sha256, other.scan(a).sha256)
    mine, yours = (Deidentifier("0" * 32) for _ in range(2))  # in two workers of one run
    assert mine.scan(a).slices[0].StudyInstanceUID == yours.scan(a).slices[0].StudyInstanceUID != first[0].StudyInstanceUID
    assert mine.scan(a).slices[0].PatientID == yours.scan(a).slices[0].PatientID


def test_the_scan_itself_is_left_alone(tmp_path: Path) -> None:
    slices = series()
    save_series(slices, tmp_path / "in")
    scan = read(tmp_path / "in")
    before = [ds.to_json() for ds in scan.slices]
    clean = Deidentifier().scan(scan)
    assert [ds.to_json() for ds in scan.slices] == before
    assert clean.image is scan.image and clean.modality == scan.modality


def test_a_nifti_has_nothing_to_remove_but_its_hash(tmp_path: Path) -> None:
    nifti_image(nifti_affine()).to_filename(tmp_path / "a.nii")
    scan = read(tmp_path / "a.nii")
    clean = Deidentifier().scan(scan)
    write_dicom(tmp_path / "out", clean.image[0].numpy(), clean, description="x", maker=MAKER, modality="MR")
    ds = pydicom.dcmread(min((tmp_path / "out").iterdir()))
    assert scan.sha256[:8].upper() not in ds.PatientID and ds.PatientIdentityRemoved == "YES"
    assert dciodvfy(*(tmp_path / "out").iterdir()) == []


def test_burned_in_text_is_refused(tmp_path: Path) -> None:
    slices = series()
    for ds in slices:
        ds.BurnedInAnnotation = "YES"
    save_series(slices, tmp_path / "in")
    with pytest.raises(ScanError, match="burned into its pixels"):
        Deidentifier().scan(read(tmp_path / "in"))


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dicomanonymizer.simpledicomanonymizer", None)
    with pytest.raises(ScanError, match=r"pip install medgen\[dicom\]"):
        Deidentifier()
