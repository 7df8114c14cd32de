"""What is found under a path, how it is grouped, and what it is called."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nibabel as nib
import pytest
import SimpleITK as sitk

from medgen.scans import Case, ScanError, find, read
from tests.scans.phantoms import (
    ORIENTATIONS,
    SECRETS,
    added,
    enhanced,
    itk_image,
    nifti_affine,
    nifti_image,
    save_series,
    series,
)


def nifti(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nifti_image(nifti_affine()), path)
    return path


def itk(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(itk_image(nifti_affine()), str(path))
    return path


def found(*paths: Path) -> dict[str, Case]:
    """Return the cases by name; any error fails the test."""
    cases, errors, _ = find(paths)
    assert not errors
    return {case.name: case for case in cases}


def test_a_tree_of_all_kinds(tmp_path: Path) -> None:
    nifti(tmp_path / "b.nii.gz"), nifti(tmp_path / "sub/C.NII"), nifti(tmp_path / "v1.2.nii")
    itk(tmp_path / "d.nrrd"), itk(tmp_path / "sub/deep/e.mha"), itk(tmp_path / "f.mhd")
    save_series(series(), tmp_path / "a dicom")
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "empty").mkdir()
    cases, errors, _ = find(tmp_path)
    assert not errors
    assert [(case.name, case.kind, len(case.files)) for case in cases] == [
        ("C", "nifti", 1), ("a_dicom", "dicom", 5), ("b", "nifti", 1), ("d", "nrrd", 1),
        ("e", "mha", 1), ("f", "mha", 1), ("v1.2", "nifti", 1),
    ]  # fmt: skip
    for case in cases:
        assert read(case).image.ndim == 4


def test_a_file_is_found_by_its_own_path(tmp_path: Path) -> None:
    assert list(found(nifti(tmp_path / "a.nii"))) == ["a"]


def test_two_series_in_one_folder_are_two_cases(tmp_path: Path) -> None:
    other = series(shape=(4, 6, 3))
    for ds in other:
        ds.SeriesNumber = 7
    save_series(series(), tmp_path / "study")
    save_series(other, tmp_path / "study", names=["y0", "y1", "y2"])
    cases = found(tmp_path)
    assert {name: len(case.files) for name, case in cases.items()} == {"study_CT3": 5, "study_CT7": 3}


@pytest.mark.parametrize(
    "values",
    [
        {"EchoTime": "4.9"},
        {"DiffusionBValue": 1000.0},
        {"TemporalPositionIdentifier": 2},
        {"ImageOrientationPatient": ORIENTATIONS["coronal"]},
        {"ImageType": ["ORIGINAL", "PRIMARY", "P"]},
    ],
    ids=lambda values: next(iter(values)),
)
def test_two_volumes_of_one_series_are_two_cases(values: dict[str, Any], tmp_path: Path) -> None:
    slices = series(modality="MR", shape=(4, 6, 8))
    for ds in slices:
        ds.EchoTime, ds.DiffusionBValue, ds.TemporalPositionIdentifier = "2.4", 0.0, 1
    for ds in slices[5:]:
        for name, value in values.items():
            setattr(ds, name, value)
    save_series(slices, tmp_path / "study")
    cases = found(tmp_path)
    assert sorted(len(case.files) for case in cases.values()) == [3, 5] and len(cases) == 2


def test_a_series_over_two_folders_is_one_case(tmp_path: Path) -> None:
    slices = series()
    save_series(slices[:2], tmp_path / "one")
    save_series(slices[2:], tmp_path / "two", names=["z2", "z3", "z4"])
    (case,) = found(tmp_path).values()
    assert len(case.files) == 5


def test_dicom_needs_no_suffix(tmp_path: Path) -> None:
    save_series(series(), tmp_path / "study", names=["IM0", "IM1", "1.2.840.3", "IM3.bak", "z"])
    assert len(found(tmp_path)["study"].files) == 5


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    nifti(tmp_path / "a.nii"), nifti(tmp_path / "._a.nii"), nifti(tmp_path / ".cache/b.nii")
    assert list(found(tmp_path)) == ["a"]


@pytest.mark.parametrize("tag, value", [("ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]), ("Modality", "SEG")])
def test_what_is_no_volume_is_passed_over(tag: str, value: Any, tmp_path: Path) -> None:
    save_series(series(), tmp_path / "study")
    extra = series()[:1]
    setattr(extra[0], tag, value)
    save_series(extra, tmp_path / "study", names=["extra"])
    assert {name: len(case.files) for name, case in found(tmp_path).items()} == {"study": 5}


def test_an_object_without_pixels_is_passed_over(tmp_path: Path) -> None:
    report = series()[:1]
    del report[0].Rows, report[0].Columns, report[0].PixelData
    report[0].SOPClassUID, report[0].Modality = "1.2.840.10008.5.1.4.1.1.66.1", "REG"  # Spatial Registration Storage
    save_series(report, tmp_path / "study", names=["registration"])
    save_series(series(), tmp_path / "study")
    assert {name: len(case.files) for name, case in found(tmp_path).items()} == {"study": 5}


def test_a_slice_cut_short_is_not_passed_over(tmp_path: Path) -> None:
    files = save_series(series(), tmp_path / "study")
    for keep in (0, 100, 200, 300, 700):  # inside: nothing, the preamble, the file's head, the patient, the geometry
        whole = files[-1].read_bytes()
        files[-1].write_bytes(whole[:keep])
        assert sorted(len(case.files) for case in found(tmp_path).values()) == [1, 4]
        files[-1].write_bytes(whole)


def test_names_are_unique_and_safe(tmp_path: Path) -> None:
    for name in ("x/scan.nii", "y/scan.nii", "y/scan.nii.gz", "y/y_scan-2.nii", "x_scan.nii", "y/SCAN.nii", "z/ä b:c?*.nii"):
        nifti(tmp_path / name)
    itk(tmp_path / "y/scan.mha")
    cases, _, _ = find(tmp_path)
    names = [case.name for case in cases]
    assert len({name.lower() for name in names}) == len(names) == 8  # some disks do not tell case
    assert names == sorted(names) and all(re.fullmatch(r"[\w+-][\w.+-]*", name) for name in names)
    assert find(tmp_path) == (cases, [], [])


def test_names_say_nothing_of_the_patient(tmp_path: Path) -> None:
    first, second = series(), series(shape=(4, 6, 3))
    for ds in second:
        ds.SeriesDescription = f"Head of {SECRETS[0]}"
    save_series(first, tmp_path / "study")
    save_series(second, tmp_path / "study", names=["y0", "y1", "y2"])
    names = list(found(tmp_path))
    assert len(names) == 2
    assert not [secret for secret in SECRETS for name in names if secret.lower() in name.lower()]


def test_a_path_given_twice_counts_once(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii")
    assert list(found(tmp_path, path, tmp_path)) == ["a"]


def test_a_link_back_up_has_an_end(tmp_path: Path) -> None:
    nifti(tmp_path / "sub/a.nii")
    (tmp_path / "sub/up").symlink_to(tmp_path, target_is_directory=True)
    assert list(found(tmp_path)) == ["a"]


def test_errors_are_returned_not_raised(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("nothing")
    good = nifti(tmp_path / "a.nii")
    cases, errors, _ = find([tmp_path / "absent", tmp_path / "empty", good, tmp_path / "notes.txt"])
    assert [case.name for case in cases] == ["a"]
    assert [(Path(error.path).name, error.reason) for error in errors] == [
        ("absent", "there is no such file or folder"),
        ("empty", "holds no scans"),
        ("notes.txt", "is not a scan"),
    ]


def test_what_is_passed_over_is_told(tmp_path: Path) -> None:
    slices = series()
    extra = series()[:1]
    extra[0].ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    save_series(slices, tmp_path / "study")
    (path,) = save_series(extra, tmp_path / "study", names=["extra"])
    assert find(tmp_path).skipped == [f"{path}: is a localizer"]
    cases, (error,), skipped = find(path)
    assert not cases and skipped and "is a localizer" in error.reason


def test_an_unreadable_place_is_an_error_and_the_rest_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nifti(tmp_path / "a.nii"), nifti(tmp_path / "locked/b.nii")
    listing = Path.iterdir

    def iterdir(path: Path) -> Any:
        if path.name == "locked":  # as root, permissions cannot lock a folder
            raise PermissionError(13, "Permission denied")
        return listing(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    cases, (error,), _ = find(tmp_path)
    assert [case.name for case in cases] == ["a"] and error.path == str(tmp_path / "locked")


def test_a_link_to_a_file_that_is_not_here_is_an_error_of_that_file(tmp_path: Path) -> None:
    nifti(tmp_path / "in/b.nii.gz")
    for name in ("a.nii.gz", "deep/c.nrrd", ".hidden.nii.gz", "notes.txt", "table.tsv"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).symlink_to(tmp_path / ".git/annex/objects/gone")
    cases, errors, skipped = find(tmp_path / "in")
    assert [case.name for case in cases] == ["b"]
    assert [error.path for error in errors] == [str(tmp_path / "in/a.nii.gz"), str(tmp_path / "in/deep/c.nrrd")]
    assert skipped == [f"{tmp_path / 'in/notes.txt'}: is a link to a file that is not here (and 1 more such links)"]
    for name in ("a.nii.gz", "notes.txt"):  # named itself, whatever its suffix
        with pytest.raises(ScanError, match=r"is a link to a file that is not here; get its content .*git annex get.* or remove the link"):
            read(tmp_path / "in" / name)
    (tmp_path / "in/loop.nii").symlink_to("loop.nii")
    assert len(find(tmp_path / "in").errors) == 3


def test_a_slice_that_is_a_link_to_no_file_is_told(tmp_path: Path) -> None:
    *_, last = save_series(series(), tmp_path / "study")
    for name, count in (("IM5", 0), ("z004.dcm", 1)):
        last.rename(tmp_path / name)
        (tmp_path / "study" / name).symlink_to(tmp_path / "gone")
        (case,), errors, _ = find(tmp_path / "study")
        assert len(errors) == count and "may lack slices: a link beside it leads to no file" in read(case).warnings
        (tmp_path / "study" / name).unlink()
        last = (tmp_path / name).rename(tmp_path / "study/z004.dcm")


def test_volumes_of_one_file_are_cases_of_their_own_names(tmp_path: Path) -> None:
    one = series(modality="MR")
    frames = [*one, *added(one, 500)]
    save_series([enhanced(frames, FrameContent=lambda k: {"TemporalPositionIndex": 1 + k // 5})], tmp_path / "study")
    cases = found(tmp_path)
    assert list(cases) == ["study_MR3-1", "study_MR3-2"]
    assert [list(case.parts.values()) for case in cases.values() if case.parts] == [[(0, 1, 2, 3, 4)], [(5, 6, 7, 8, 9)]]
    assert list(find(tmp_path, four_d=True).cases[0].files) == [tmp_path / "study/z000.dcm"]
