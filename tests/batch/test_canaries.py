"""Nothing of a patient gets out by default: no canary of any header in any output, message or file name.

The commands run in a process of their own, so that what libraries print, warn and log is seen too.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from medgen.cli import app
from tests.batch.canaries import dicom, found, itk, nifti, plant, written
from tests.monai_bundle import CONTEXT, tell
from tests.scans.phantoms import save_series

NAME = "mr_denoise_vae"
Run = tuple[list[int], str]


@pytest.fixture(autouse=True)
def planting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pydicom write what is planted, be it valid or not."""
    warnings.simplefilter("ignore")
    monkeypatch.setattr(pydicom.config.settings, "writing_validation_mode", pydicom.config.IGNORE)


def medgen(folder: Path, *commands: list[object]) -> Run:
    """Run commands one after the other; return their exit codes and all that was printed, warned and logged."""
    asked = [[str(word) for word in command] for command in commands]
    out, err = (folder / name for name in ("stdout", "stderr"))
    process = CONTEXT.Process(target=_run, args=(asked, out, err))
    process.start()
    process.join(600)
    codes = [int(line.split()[1]) for line in out.read_text().splitlines() if line.startswith("exit ")]
    assert len(codes) == len(commands), err.read_text()[-2000:]
    return codes, out.read_text() + err.read_text()


def _run(commands: list[list[str]], out: Path, err: Path) -> None:
    tell(out, err)
    logging.basicConfig()
    for arguments in commands:
        try:
            code = app(arguments, standalone_mode=False)
        except SystemExit as stop:
            code = stop.code
        print("exit", code or 0, flush=True)


def inputs(folder: Path) -> Path:
    """Write one sound scan of each format, full of canaries; only the folder's names are clean."""
    save_series(dicom("MR"), folder / "mr")
    save_series(dicom("CT", number=1), folder / "ct")
    nifti(folder / "nii.nii.gz")
    itk(folder / "nrrd.nrrd")
    itk(folder / "mha.mha")
    return folder


def assert_silent(said: str, *folders: Path, but: str = "") -> None:
    """Check that no canary is in what was said, in any name, or in any file whose name does not end with `but`."""
    assert found(said) == []
    for folder in folders:
        for name, content in written(folder):
            assert found(name) == []
            if not (but and name.endswith(but)):
                assert found(content) == [], name


def test_the_canaries_are_there_and_are_found(tmp_path: Path) -> None:
    files = dict(written(inputs(tmp_path)))
    assert len(found(files["mr/z000.dcm"])) > 2000 and len(found(files["nii.nii.gz"])) == 8
    assert len(found(files["nrrd.nrrd"])) >= 5 and len(found(files["mha.mha"])) >= 2
    assert any("(PatientName)" in word for word in found(files["ct/z000.dcm"]))
    with pytest.raises(AssertionError):
        assert_silent("", tmp_path)
    with pytest.raises(AssertionError):
        assert_silent("read Cnry00001x's scan")


def test_no_canary_gets_out_of_sound_scans(tmp_path: Path) -> None:
    source, out = inputs(tmp_path / "in"), tmp_path / "out"
    codes, said = medgen(
        tmp_path,
        ["run", NAME, source, "-o", out / "nifti", "--uncertainty", "--device", "cpu", "--report",
         "--log-json", out.with_name("log")],
        ["run", NAME, source, "-o", out / "dicom", "--format", "dicom", "--device", "cpu"],
        ["run", NAME, source, "-o", out / "json", "--json", "--device", "cpu"],
        ["run", NAME, source, "-o", out / "none", "--dry-run", "--device", "cpu"],
        ["evaluate", source / "mr", "--reference", source / "mr", "-o", out / "report"],
        ["evaluate", source / "nii.nii.gz", "--reference", source / "nii.nii.gz", "-o", out / "report2"],
        ["inspect", source],
        ["inspect", source, "--json"],
        ["convert", source, "-o", out / "converted"],
        ["report", out / "nifti", out / "report", "--before", source, "-o", out / "page/page.html"],
    )
    assert codes == [0] * 10, said
    assert all((out / page).read_text().count('id="nifti-') == 3 * 4 for page in ("nifti/report.html", "page/page.html"))
    assert out.with_name("log").read_text().count('"event": "done"') == 15  # the log of a program: of three runs
    assert found(out.with_name("log").read_text()) == []
    assert len(list((out / "nifti").glob("*.nii.gz"))) == 10 and len(list((out / "dicom").glob("*/*.dcm"))) == 20
    assert len(list((out / "converted").glob("*.nii.gz"))) == 5 and (out / "report/results.csv").is_file()
    assert_silent(said, out, but=".dcm")  # a derived series stays with its patient


def test_deidentify_lets_no_canary_into_anything_not_even_a_path(tmp_path: Path) -> None:
    source, out = inputs(tmp_path / "Cnry40001x"), tmp_path / "out"
    (source / "nii.nii.gz").rename(source / "Cnry40002x.nii.gz")
    (source / "mr").rename(source / "Cnry40003x")
    codes, said = medgen(
        tmp_path,
        ["run", NAME, source, "-o", out, "--format", "same", "--deidentify", "--uncertainty", "--device", "cpu", "--report"],
        ["run", NAME, source, "-o", out / "all", "--format", "dicom", "--deidentify", "--device", "cpu"],
    )
    assert codes == [0, 0], said
    assert len(list(out.glob("*/*.dcm"))) == 8 and len(list(out.glob("all/*/*.dcm"))) == 20
    assert_silent("", out)
    paths = {"Cnry40001x", "Cnry40002x", "Cnry40003x"}  # the user's own words
    assert {word.split()[0] for word in found(said)} <= paths


#: Patient, study and device; a broken scan is refused long before it has been read through.
FEW = (0x0008, 0x0010)


def drop(slices: list[Dataset]) -> None:
    del slices[2]


def twice(slices: list[Dataset]) -> None:
    slices[4].ImagePositionPatient = slices[3].ImagePositionPatient


def garbage(keyword: str, vr: str) -> Callable[[list[Dataset]], None]:
    """Return a change that puts a word where a number or a defined term must be."""

    def change(slices: list[Dataset]) -> None:
        tag, word = Tag(keyword), b"CNRY50001X"
        for ds in slices:
            ds._dict[tag] = RawDataElement(tag, vr, len(word), word, 0, False, True, True)

    return change


#: What makes a series unreadable, or might be quoted.
FAULTS: dict[str, Callable[[list[Dataset]], None]] = {
    "a slice missing": drop,
    "a slice twice": twice,
    **{keyword: garbage(keyword, "DS") for keyword in (
        "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept", "EchoTime",
        "WindowCenter", "SliceThickness")},
    **{keyword: garbage(keyword, "IS") for keyword in ("SeriesNumber", "InstanceNumber", "NumberOfFrames", "AcquisitionNumber")},
    **{keyword: garbage(keyword, "CS") for keyword in (
        "ImageType", "BurnedInAnnotation", "PatientPosition", "SpecificCharacterSet", "VOILUTFunction", "LossyImageCompression")},
    **{keyword: garbage(keyword, "UI") for keyword in ("SOPClassUID", "FrameOfReferenceUID")},
    "ModalityLUTSequence": lambda slices: [setattr(ds, "ModalityLUTSequence", [plant(Dataset(), (0x0010,))]) for ds in slices] and None,
}  # fmt: skip


def faulty(folder: Path) -> Path:
    """Write a folder of scans with a fault each."""
    for number, (name, change) in enumerate(FAULTS.items()):
        slices = dicom("CT" if "Rescale" in name or number % 2 else "MR", (4, 4, 5), FEW, number)
        change(slices)
        save_series(slices, folder / f"series{number:02}")
    whole = min((folder / "series00").iterdir()).read_bytes()
    for name, stored in {"cut": whole[: len(whole) // 2], "header": whole[:2000], "bits": whole[:132] + b"\xff" * 400 + whole[532:]}.items():
        (folder / name).mkdir()
        for z in range(3):
            (folder / name / f"{z}.dcm").write_bytes(stored)
    nifti(folder / "sound.nii.gz")
    nifti(folder / "cut.nii")
    stored = bytearray((folder / "cut.nii").read_bytes())
    (folder / "cut.nii").write_bytes(stored[:-100])
    (folder / "magic.nii").write_bytes(stored[:344] + b"Cnry" + stored[348:])
    (folder / "bits.nii").write_bytes(stored[:70] + b"\x99\x99" + stored[72:])
    for name in ("cut.nrrd", "cut.mha", "space.nrrd", "field.nrrd", "type.mha"):
        itk(folder / name)
    for name in ("cut.nrrd", "cut.mha"):
        (folder / name).write_bytes((folder / name).read_bytes()[:-50])
    for name, old, new in (("space.nrrd", b"left-posterior-superior", b"Cnry60001x"), ("field.nrrd", b"type: float", b"type: Cnry60002x"),
                           ("type.mha", b"MET_FLOAT", b"Cnry60003x")):  # fmt: skip
        stored2 = (folder / name).read_bytes()
        assert old in stored2
        (folder / name).write_bytes(stored2.replace(old, new))
    return folder


def test_no_word_gets_out_in_place_of_a_defined_term(tmp_path: Path) -> None:
    for keyword, modality in {"Modality": "MR", "Units": "MR", "RescaleType": "CT", "SeriesNumber": "MR", "PhotometricInterpretation": "MR"}.items():
        slices = dicom(modality, (4, 4, 5), FEW)
        garbage(keyword, "CS")(slices)
        save_series(slices, tmp_path / "in" / keyword)
    codes, said = medgen(tmp_path, ["inspect", tmp_path / "in"], ["convert", tmp_path / "in", "-o", tmp_path / "out"])
    assert codes == [1, 1] and "1 scans refused" in said, said
    assert_silent(said, tmp_path / "out")


def test_no_canary_gets_out_of_broken_scans(tmp_path: Path) -> None:
    source, out = faulty(tmp_path / "in"), tmp_path / "out"
    codes, said = medgen(
        tmp_path,
        ["run", NAME, source, "-o", out / "run", "--format", "same", "--device", "cpu"],
        ["run", NAME, source, "-o", out / "dicom", "--format", "dicom", "--permissive", "--device", "cpu"],
        ["run", NAME, source, "-o", out / "none", "--dry-run", "--device", "cpu"],
        ["run", NAME, source, "-o", out / "clean", "--format", "same", "--deidentify", "--permissive", "--device", "cpu"],
        ["evaluate", source, "--reference", source, "-o", out / "report"],
        ["inspect", source],
        ["inspect", source, "--json", "--permissive"],
        ["convert", source, "-o", out / "converted", "--permissive"],
    )
    assert codes == [1] * 8, said
    assert "Traceback" not in said
    assert_silent(said, *(out / name for name in ("run", "dicom", "report", "converted")), but=".dcm")
    assert_silent("", out / "clean")
