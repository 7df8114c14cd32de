from __future__ import annotations

import warnings
from pathlib import Path

import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from medgen.scans import read
from medgen.scans.dicom_carried import PAIRED, UNPAIRED, carried
from medgen.scans.dicom_derived import SMOOTHING
from medgen.scans.dicom_write import write_dicom
from tests.scans.derived import MAKER, source, write
from tests.scans.dicom_lint import dciodvfy, lint
from tests.scans.phantoms import save_series, series

NAMES = {
    "Latin 1": ("ISO_IR 100", "Müller^Jörg"),
    "Cyrillic": ("ISO_IR 144", "Люкceмбypг"),
    "Greek": ("ISO_IR 126", "Διονυσιος"),
    "UTF-8": ("ISO_IR 192", "Wang^XiaoDong=王^小东"),
    "GB18030": ("GB18030", "Wang^XiaoDong=王^小东"),
    "Japanese": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "Korean": (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    "none named": (None, "Müller^Jörg"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("charset", NAMES)
def test_names_in_other_alphabets_stay_right(charset: str, tmp_path: Path) -> None:
    declared, name = NAMES[charset]

    def rename(ds: Dataset) -> None:
        if declared:
            ds.SpecificCharacterSet = declared
        ds.PatientName, ds.StudyDescription = name, name.split("=")[-1].replace("^", " ")

    scan = source(tmp_path / "in", rename)
    slices = write(tmp_path / "out", scan.image[0].numpy(), scan)
    assert str(slices[0].PatientName) == name
    assert slices[0].StudyDescription == name.split("=")[-1].replace("^", " ")
    assert slices[0].SpecificCharacterSet == (declared or "ISO_IR 100")
    assert dciodvfy(min((tmp_path / "out").iterdir())) == []


def dirty(ds: Dataset) -> None:
    """Plant what no longer holds of derived pixels, and what no object may hold."""
    ds.SmallestImagePixelValue, ds.LargestImagePixelValue, ds.PixelPaddingValue = 0, 10, -2000
    for keyword in ("SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue"):
        ds[keyword].VR = "SS"
    ds.WindowCenter, ds.WindowWidth, ds.WindowCenterWidthExplanation = [40, 300], [400, 1500], ["SOFT", "LUNG"]
    ds.BurnedInAnnotation, ds.LossyImageCompression, ds.LossyImageCompressionRatio = "NO", "01", 10
    ds.LossyImageCompressionMethod = "ISO_10918_1"
    ds.add_new(0x60003000, "OW", b"\0\0")
    ds.private_block(0x0029, "SECRET VENDOR", create=True).add_new(1, "LO", "private")
    nested = Dataset()
    nested.private_block(0x0029, "SECRET VENDOR", create=True).add_new(1, "LO", "private")
    nested.CodeValue, nested.CodingSchemeDesignator, nested.CodeMeaning = "T-A0100", "SRT", "Brain"
    ds.AnatomicRegionSequence = Sequence([nested])
    ds.RequestAttributesSequence = Sequence([Dataset()])
    ds.ImageComments, ds.ProtocolName = "old", "x" * 80
    ds.SliceLocation, ds.AcquisitionNumber, ds.KVP = "1.23456789012345678901", 4, 120


@pytest.mark.filterwarnings("ignore")
def test_what_no_longer_holds_is_left_behind(tmp_path: Path) -> None:
    scan = source(tmp_path / "in", dirty)
    (first, *_) = write(tmp_path / "out", scan.image[0].numpy(), scan)
    assert lint(tmp_path / "out", scan) == []
    assert dciodvfy(*sorted((tmp_path / "out").iterdir())) == []
    assert list(first.WindowCenter) == [40, 300] and first.LossyImageCompression == "01"
    assert first.AnatomicRegionSequence[0].CodeMeaning == "Brain"
    assert first.KVP == 120 and first.AcquisitionNumber is None
    assert "ProtocolName" not in first and "ImageComments" not in first
    assert [i.Manufacturer for i in first.ContributingEquipmentSequence] == ["Scanner Works", "medgen"]


@pytest.mark.parametrize("laterality", [None, "", "L"])
@pytest.mark.parametrize("part", ["", "HEAD", "BRAIN", "KNEE", "CHEST", "TH CT CHEST WO C"])
def test_any_body_part_is_valid(part: str, laterality: str | None, tmp_path: Path) -> None:
    def change(ds: Dataset) -> None:
        ds.BodyPartExamined = part
        if laterality is not None:
            ds.Laterality = laterality

    scan = source(tmp_path / "in", change)
    (first, *_) = write(tmp_path / "out", scan.image[0].numpy(), scan)
    assert dciodvfy(min((tmp_path / "out").iterdir())) == []
    assert first.get("Laterality") == (laterality or ("" if "Laterality" in first else None) if part not in UNPAIRED else None)


def test_a_minimal_header_is_made_whole(tmp_path: Path) -> None:
    def strip(ds: Dataset) -> None:
        for keyword in ("PatientName", "PatientID", "StudyDate", "FrameOfReferenceUID", "SeriesNumber", "ImageType"):
            ds.pop(keyword, None)

    for modality in ("CT", "MR"):
        scan = source(tmp_path / f"in{modality}", strip, modality=modality)
        write(tmp_path / modality, scan.image[0].numpy(), scan)
        assert dciodvfy(*sorted((tmp_path / modality).iterdir())) == []


def test_nothing_of_the_header_is_said_aloud(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def bad(ds: Dataset) -> None:
        ds.add_new("BodyPartExamined", "LO", "Secretname")  # no such coded string
        ds.StudyDescription = "Secretname " * 20

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scan = source(tmp_path / "in", bad)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        write_dicom(tmp_path / "out", scan.image[0].numpy(), scan, description="x", maker=MAKER, derivation=SMOOTHING)
    assert "Secretname" not in "".join(map(str, caught)) + "".join(capfd.readouterr())


def broken(ds: Dataset, keyword: str, vr: str, stored: bytes) -> None:
    """Put bytes into an element that pydicom itself would not write."""
    ds._dict[Tag(keyword)] = RawDataElement(Tag(keyword), vr, len(stored), stored, 0, False, True, True)


BROKEN = {
    "control characters": b"a\0b\x07", "too long": b"x" * 200, "no number, no date": b"12abc ", "too many": b"1\\2\\3\\4\\5\\6\\7 ",
    "empty": b"", "Latin 1 without saying so": b"M\xfcller",
}  # fmt: skip
LIKELY = {
    "WindowCenter": "DS", "SliceThickness": "DS", "SliceLocation": "DS", "PatientWeight": "DS", "KVP": "DS", "TriggerTime": "DS",
    "PatientAge": "AS", "PatientBirthDate": "DA", "StudyDate": "DA", "StudyTime": "TM", "AcquisitionDateTime": "DT",
    "PatientSex": "CS", "BodyPartExamined": "CS", "PatientPosition": "CS", "ScanningSequence": "CS", "Laterality": "CS",
    "ProtocolName": "LO", "PatientComments": "LT", "StudyDescription": "LO", "Manufacturer": "LO", "SoftwareVersions": "LO",
    "ClinicalTrialSponsorName": "LO", "ClinicalTrialSubjectID": "LO", "ClinicalTrialTimePointDescription": "ST",
    "LossyImageCompressionRatio": "DS", "ContrastBolusVolume": "DS", "DeviceUID": "UI", "ReferringPhysicianName": "PN",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("how", BROKEN)
def test_broken_values_are_left_behind(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pydicom.config.settings, "writing_validation_mode", pydicom.config.IGNORE)
    for modality in ("CT", "MR"):
        slices = series(modality=modality, shape=(3, 3, 3))
        for ds in slices:
            for keyword, vr in LIKELY.items():
                broken(ds, keyword, vr, BROKEN[how] + b" " * (len(BROKEN[how]) % 2))
        save_series(slices, tmp_path / f"in{modality}")
        scan = read(tmp_path / f"in{modality}")
        write(tmp_path / modality, scan.image[0].numpy(), scan)
        assert dciodvfy(*sorted((tmp_path / modality).iterdir())) == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("missing", ["SOPInstanceUID", "StudyInstanceUID", "SeriesNumber", "PatientID", "FrameOfReferenceUID"])
def test_what_is_missing_is_made(missing: str, tmp_path: Path) -> None:
    scan = source(tmp_path / "in")
    for ds in scan.slices:
        ds.pop(missing, None)
    write(tmp_path / "out", scan.image[0].numpy(), scan)
    assert dciodvfy(*sorted((tmp_path / "out").iterdir())) == []


@pytest.mark.filterwarnings("ignore")
def test_an_identity_that_is_too_long_stays_and_one_that_is_none_does_not() -> None:
    ds = Dataset()
    ds.add_new("PatientID", "LO", "7" * 70)
    ds.add_new("StudyInstanceUID", "UI", "1.2.03.4")
    assert (carried(ds).PatientID, carried(ds).StudyInstanceUID) == ("7" * 70, "1.2.03.4")
    broken(ds, "PatientID", "LO", b"\0\1")
    broken(ds, "StudyInstanceUID", "UI", b"no UID")
    assert not carried(ds).PatientID and "StudyInstanceUID" not in carried(ds)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("declared", ["ISO_IR 999", "UTF-8", "ISO_IR 6", "latin1", "ISO_IR 144"])
def test_a_character_set_that_is_none_or_too_small_becomes_another(declared: str, tmp_path: Path) -> None:
    def rename(ds: Dataset) -> None:
        ds.PatientName = "Müller^Jörg"

    scan = source(tmp_path / "in", rename)
    for ds in scan.slices:
        ds.SpecificCharacterSet = declared
        ds.PatientName = "Müller^Jörg"
    (first, *_) = write(tmp_path / "out", scan.image[0].numpy(), scan)
    assert (str(first.PatientName), first.SpecificCharacterSet) == (
        "Müller^Jörg", "ISO_IR 100" if declared == "ISO_IR 6" else "ISO_IR 192")  # fmt: skip
    assert dciodvfy(min((tmp_path / "out").iterdir())) == []


def test_body_parts_are_paired_or_not_but_not_both() -> None:
    assert not UNPAIRED & PAIRED and len(UNPAIRED) == 65


def test_a_trial_is_told_whole_or_not_at_all(tmp_path: Path) -> None:
    whole = {"ClinicalTrialSponsorName": "Sponsor", "ClinicalTrialProtocolID": "P1", "ClinicalTrialProtocolName": "P",
             "ClinicalTrialSiteID": "7", "ClinicalTrialSiteName": "Site", "ClinicalTrialSubjectID": "S1"}  # fmt: skip
    for missing in ("", "ClinicalTrialSubjectID", "ClinicalTrialSponsorName"):

        def enrol(ds: Dataset, missing: str = missing) -> None:
            for keyword, value in whole.items():
                setattr(ds, keyword, "" if keyword == missing else value)

        scan = source(tmp_path / f"in{missing}", enrol)
        (first, *_) = write(tmp_path / f"out{missing}", scan.image[0].numpy(), scan)
        assert ("ClinicalTrialProtocolName" in first) == (missing == "")
        assert dciodvfy(min((tmp_path / f"out{missing}").iterdir())) == []
