from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any, NoReturn

import nibabel as nib
import numpy as np
import pydicom
import pytest
from numpy.random import RandomState
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from rich.console import Console

from medgen.batch.evaluate import evaluate
from medgen.batch.pairing import pair
from medgen.batch.protocol import Protocol
from medgen.evaluation.image_quality import measure
from medgen.evaluation.regions import tissues
from medgen.evaluation.statistics import summarise
from medgen.evaluation.without_reference import noise_level

SHAPE = (14, 13, 12)
AFFINE = np.array([[0, -1.5, 0, 7], [1.5, 0, 0, -3], [0, 0, 2, 11], [0, 0, 0, 1]], dtype=float)


def volume(seed: int, noise: float = 0.0) -> np.ndarray:
    """Return a smooth int16 volume of about 0 to 1000, with noise where wanted."""
    clean = 500 + 400 * np.sin(np.linspace(0, 6, SHAPE[0]))[:, None, None] * np.ones(SHAPE) + 10 * seed
    return np.rint(clean + noise * RandomState(seed).standard_normal(SHAPE)).astype(np.int16)


def save(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def call(
    candidate: Path,
    reference: Path | None,
    mask: Path | None = None,
    data_range: float | None = None,
    output: Path | None = None,
    **protocol: Any,
) -> tuple[int, str]:
    """Return the number of failures and what was printed."""
    console = Console(file=io.StringIO(), width=1000)
    failed = evaluate(candidate, reference, Protocol(data_range, mask, **protocol), output, console)
    return failed, console.file.getvalue()  # type: ignore[attr-defined]


def report(folder: Path) -> dict[str, Any]:
    """Read results.json as a strict reader does."""

    def refuse(name: str) -> NoReturn:
        raise ValueError(f"{name} is not JSON")

    return json.loads((folder / "results.json").read_text(), parse_constant=refuse)


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Folders of four candidates, restored from rising noise, and of their references."""
    for seed, name in enumerate("abcd", start=1):
        save(tmp_path / f"mine/{name}_restored.nii.gz", volume(seed, 10 * seed))
        save(tmp_path / f"truth/{name}.nii.gz", volume(seed))
    return tmp_path / "mine", tmp_path / "truth"


def test_pairs_are_made_by_name_the_longest_first(tmp_path: Path) -> None:
    for name in ("a", "a_left_restored", "a_left", "a_restored", "a_right"):
        save(tmp_path / f"mine/{name}.nii.gz", volume(0))
    for name in ("a", "a_left"):
        save(tmp_path / f"truth/{name}.nii.gz", volume(0))
    pairs, failures = pair(tmp_path / "mine", tmp_path / "truth")
    assert not failures
    assert {mine.name: truth.name for mine, truth in pairs} == {
        "a": "a",
        "a_left_restored": "a_left",
        "a_left": "a_left",
        "a_restored": "a",
        "a_right": "a",
    }


def test_a_reference_without_a_candidate_is_named(tmp_path: Path) -> None:
    """So that a half-finished folder of results is not averaged without a word."""
    for path in ("mine/a_x", "truth/a", "truth/b"):
        save(tmp_path / f"{path}.nii.gz", volume(0))
    pairs, failures = pair(tmp_path / "mine", tmp_path / "truth")
    assert len(pairs) == len(failures) == 1 and "b.nii.gz: no candidate is named b" in failures[0]


def test_a_name_that_only_begins_alike_is_no_pair(tmp_path: Path) -> None:
    save(tmp_path / "mine/case10.nii.gz", volume(0))
    save(tmp_path / "truth/case1.nii.gz", volume(0))
    pairs, failures = pair(tmp_path / "mine", tmp_path / "truth")
    assert not pairs
    assert len(failures) == 1 and "case10" in failures[0]


def test_uncertainty_maps_are_passed_over(folders: tuple[Path, Path]) -> None:
    save(folders[0] / "a_restored_uncertainty.nii.gz", volume(0))
    pairs, failures = pair(*folders)
    assert [mine.name for mine, _ in pairs] == [f"{name}_restored" for name in "abcd"] and not failures


def test_a_folder_of_uncertainty_maps_alone_is_a_failure_with_a_reason(tmp_path: Path) -> None:
    save(tmp_path / "mine/a_uncertainty.nii.gz", volume(0))
    save(tmp_path / "truth/a.nii.gz", volume(0))
    failed, printed = call(tmp_path / "mine", tmp_path / "truth")
    assert failed == 1 and f"failed: {tmp_path / 'mine'}" in printed


def test_two_files_are_a_pair_whatever_their_names(tmp_path: Path) -> None:
    mine, truth = save(tmp_path / "x_uncertainty.nii", volume(0, 9)), save(tmp_path / "y.nii.gz", volume(0))
    pairs, failures = pair(mine, truth)
    assert [(a.name, b.name) for a, b in pairs] == [("x_uncertainty", "y")] and not failures
    assert call(mine, truth)[0] == 0


def test_a_file_finds_its_reference_in_a_folder(folders: tuple[Path, Path], tmp_path: Path) -> None:
    assert call(folders[0] / "c_restored.nii.gz", folders[1], output=tmp_path / "out")[0] == 0
    assert [row["case"] for row in table(tmp_path / "out")] == ["c_restored"]


def test_a_candidate_without_a_reference_is_named_and_the_rest_go_on(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    lonely = save(folders[0] / "bb.nii.gz", volume(0))
    failed, printed = call(*folders, output=tmp_path / "out")
    assert failed == 1
    assert f"failed: {lonely}: no reference" in printed
    assert [row["case"] for row in table(tmp_path / "out")] == [f"{name}_restored" for name in "abcd"]
    assert len(report(tmp_path / "out")["failures"]) == 1


@pytest.mark.parametrize("which", [0, 1])
def test_a_broken_scan_is_named_and_the_rest_go_on(folders: tuple[Path, Path], tmp_path: Path, which: int) -> None:
    broken = (folders[0] / "b_restored.nii.gz", folders[1] / "b.nii.gz")[which]
    broken.write_bytes(broken.read_bytes()[:-20])
    failed, printed = call(*folders, output=tmp_path / "out")
    assert failed == 1
    assert f"failed: {broken}: " in printed
    assert [row["case"] for row in table(tmp_path / "out")] == [f"{name}_restored" for name in "acd"]


def shifted() -> np.ndarray:
    affine = AFFINE.copy()
    affine[2, 3] += 0.2
    return affine


CUBE = (12, 12, 12)
#: Turned about z, so that no axis is along another.
TURNED = np.array([[0.8, -0.6, 0, 0], [0.6, 0.8, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


@pytest.mark.parametrize(
    ("shape", "affine", "truth_shape", "truth_affine", "words"),
    [
        (SHAPE[::-1], AFFINE, SHAPE, AFFINE, "shape (12, 13, 14)"),
        ((14, 13, 11), AFFINE, SHAPE, AFFINE, "shape (14, 13, 11)"),
        (SHAPE, shifted(), SHAPE, AFFINE, "0.20 mm off"),
        (SHAPE, AFFINE @ np.diag([1, 1, 1.02, 1]), SHAPE, AFFINE, "off the reference's grid"),
        (SHAPE, AFFINE @ np.diag([-1, 1, 1, 1]), SHAPE, AFFINE, "off the reference's grid"),
        (CUBE, TURNED, CUBE, np.eye(4), "9.60 mm off"),
        (CUBE, np.eye(4)[[1, 2, 0, 3]] + shifted() - AFFINE, CUBE, np.eye(4), "0.20 mm off"),
    ],
)
def test_another_grid_is_refused_by_the_files_name(
    tmp_path: Path,
    shape: tuple[int, ...],
    affine: np.ndarray,
    truth_shape: tuple[int, ...],
    truth_affine: np.ndarray,
    words: str,
) -> None:
    random = RandomState(0)
    mine = save(tmp_path / "a.nii", random.rand(*shape).astype(np.float32), affine)
    truth = save(tmp_path / "b.nii", random.rand(*truth_shape).astype(np.float32), truth_affine)
    failed, printed = call(mine, truth, output=tmp_path / "out")
    assert failed == 1
    (line,) = printed.strip().splitlines()
    assert line.startswith(f"failed: {mine}: ") and words in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("stored", ["LPS", "RAS", "SLP", "AIR"])
def test_the_same_places_stored_in_another_order_are_the_same_pair(stored: str, tmp_path: Path) -> None:
    mine, truth, mask = volume(1, 30), volume(1), (volume(1) > 600).astype(np.int16)
    mask[3, :, 2:5] = 1  # of no symmetry
    straight = save(tmp_path / "straight/a.nii.gz", mine)
    reference = save(tmp_path / "truth/a.nii.gz", truth)
    kept = save(tmp_path / "mask/a.nii.gz", mask)
    assert call(straight, reference, kept, output=tmp_path / "one")[0] == 0
    for path in (straight, kept):
        turned = nib.load(path)
        change = nib.orientations.ornt_transform(nib.io_orientation(turned.affine), nib.orientations.axcodes2ornt(stored))
        nib.save(turned.as_reoriented(change), path.parent / "b.nii.gz")
    other = tmp_path / "straight/b.nii.gz"
    assert nib.aff2axcodes(nib.load(other).affine) == tuple(stored)
    assert call(other, reference, tmp_path / "mask/b.nii.gz", output=tmp_path / "two")[0] == 0
    one, two = (report(tmp_path / folder)["rows"] for folder in ("one", "two"))
    assert [{**row, "case": "b"} for row in one] == two and len(two) > 1


def test_a_grid_within_a_tenth_of_a_voxel_is_the_same(tmp_path: Path) -> None:
    affine = AFFINE.copy()
    affine[0, 3] += 0.05
    mine, truth = save(tmp_path / "a.nii", volume(1, 5), affine), save(tmp_path / "b.nii", volume(1))
    assert call(mine, truth)[0] == 0


def mask(seed: int) -> np.ndarray:
    return (RandomState(seed).rand(*SHAPE) > 0.6).astype(np.uint8) * seed


def test_one_mask_serves_all(folders: tuple[Path, Path], tmp_path: Path) -> None:
    inside = mask(3)
    assert call(*folders, mask=save(tmp_path / "head.nii.gz", inside), output=tmp_path / "out")[0] == 0
    rows = report(tmp_path / "out")["rows"]
    assert [(row["case"][0], row["region"]) for row in rows] == [(n, r) for n in "abcd" for r in ("image", "mask")]
    for row in rows:
        assert row["voxels"] == (np.prod(SHAPE) if row["region"] == "image" else np.count_nonzero(inside))


def test_masks_of_a_folder_go_by_the_references_name(folders: tuple[Path, Path], tmp_path: Path) -> None:
    for seed, name in enumerate("abd", start=1):
        save(tmp_path / f"masks/{name}.nii.gz", mask(seed))
    failed, printed = call(*folders, mask=tmp_path / "masks", output=tmp_path / "out")
    assert failed == 1
    assert f"failed: {tmp_path / 'masks'}: has no mask named c" in printed
    rows = [row for row in report(tmp_path / "out")["rows"] if row["region"] == "mask"]
    assert {row["case"][0]: row["voxels"] for row in rows} == {
        name: np.count_nonzero(mask(seed)) for seed, name in enumerate("abd", start=1)
    }


@pytest.mark.parametrize(
    ("array", "affine", "words"),
    [
        (np.ones((14, 13, 11), np.uint8), AFFINE, "m.nii.gz: its shape"),
        (np.ones(SHAPE, np.uint8), shifted(), "m.nii.gz: lies 0.20 mm off"),
        (np.zeros(SHAPE, np.uint8), AFFINE, "empty"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(tmp_path: Path, array: np.ndarray, affine: np.ndarray, words: str) -> None:
    truth = save(tmp_path / "a.nii", volume(1))
    failed, printed = call(truth, truth, mask=save(tmp_path / "m.nii.gz", array, affine))
    assert failed == 1
    assert words in printed and len(printed.strip().splitlines()) == 1


def test_a_mask_that_is_no_scan_is_a_failure(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a mask")
    failed, printed = call(*folders, mask=tmp_path / "notes.txt")
    assert failed == 5  # the mask itself, and each pair that lacks it
    assert f"{tmp_path / 'notes.txt'}: is not a scan" in printed


@pytest.mark.parametrize("data_range", [None, 255.0, 4095.0])
@pytest.mark.parametrize("masked", [False, True])
def test_rows_are_what_the_metrics_say(
    folders: tuple[Path, Path], tmp_path: Path, data_range: float | None, masked: bool
) -> None:
    inside = mask(2) != 0
    path = save(tmp_path / "m.nii", inside.astype(np.uint8)) if masked else None
    assert call(*folders, mask=path, data_range=data_range, output=tmp_path / "out")[0] == 0
    rows, lines = report(tmp_path / "out")["rows"], table(tmp_path / "out")
    assert len(rows) == len(lines) == (8 if masked else 4)
    for row, line in zip(rows, lines):
        assert list(line) == list(row)
        seed = "abcd".index(row["case"][0]) + 1
        mine, truth = volume(seed, 10 * seed), volume(seed)
        span = float(truth.max() - truth.min()) if data_range is None else data_range
        expected = measure(mine, truth, span, inside if row["region"] == "mask" else None)
        assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-6)
        assert row["data_range"] == span
        assert {name: float(line[name]) for name in expected} == pytest.approx(expected, abs=1e-6)
        assert (line["case"], line["region"], int(line["voxels"])) == (row["case"], row["region"], row["voxels"])


def test_the_report_defines_its_numbers_and_sums_them_up(folders: tuple[Path, Path], tmp_path: Path) -> None:
    _, printed = call(*folders, mask=save(tmp_path / "m.nii", mask(1)), output=tmp_path / "out")
    found = report(tmp_path / "out")
    assert {"psnr", "ssim", "mae", "region"} <= found["definitions"].keys()
    assert "95 %" in found["interval"] and "bootstrap" in found["interval"]
    assert found["failures"] == []
    for region in ("image", "mask"):
        for name in ("psnr", "ssim", "mae"):
            values = [row[name] for row in found["rows"] if row["region"] == region]
            assert found["summary"][region][name] == summarise(values)
    summary = found["summary"]["image"]["psnr"]
    assert summary["n"] == 4
    assert f"{summary['mean']:.2f} [{summary['low']:.2f}, {summary['high']:.2f}]" in printed
    assert "maximum minus minimum of each reference" in printed
    assert all(f"written: {tmp_path / 'out' / name}" in printed for name in ("results.csv", "results.json"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["results.csv", "results.json"]


def test_no_folder_no_files(folders: tuple[Path, Path], tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert call(*folders, data_range=1000.0)[0] == 0
    assert sorted(tmp_path.rglob("*")) == before
    assert "data range: as given" in call(*folders, data_range=1000.0)[1]


@pytest.mark.parametrize(("data_range", "failed"), [(None, 1), (100.0, 0)])
def test_a_constant_reference_needs_a_data_range(tmp_path: Path, data_range: float | None, failed: int) -> None:
    mine = save(tmp_path / "a.nii", volume(1))
    truth = save(tmp_path / "b.nii", np.full(SHAPE, 7, np.int16))
    found, printed = call(mine, truth, data_range=data_range)
    assert found == failed
    assert (f"failed: {truth}: is constant" in printed and "--data-range" in printed) == bool(failed)


@pytest.mark.parametrize("data_range", [0.0, -5.0, float("inf"), float("nan"), 1e200])
def test_a_data_range_that_is_none_is_never_replaced(tmp_path: Path, data_range: float) -> None:
    truth = save(tmp_path / "b.nii", volume(1))
    failed, printed = call(save(tmp_path / "a.nii", volume(1, 5)), truth, data_range=data_range)
    assert failed == 1
    assert "the data range must be above 0" in printed


def test_an_identical_pair_is_an_empty_cell_and_a_null(folders: tuple[Path, Path], tmp_path: Path) -> None:
    save(folders[0] / "b_restored.nii.gz", volume(2))
    failed, printed = call(*folders, output=tmp_path / "out")
    assert failed == 0 and "identical" in printed
    row = report(tmp_path / "out")["rows"][1]
    assert row["psnr"] is None and row["ssim"] == pytest.approx(1) and row["mae"] == 0
    line = table(tmp_path / "out")[1]
    assert line["psnr"] == "" and float(line["mae"]) == 0
    summary = report(tmp_path / "out")["summary"]["image"]
    assert (summary["psnr"]["n"], summary["psnr"]["identical"]) == (3, 1)
    assert (summary["mae"]["n"], summary["mae"]["identical"]) == (4, 0)


def test_identical_pairs_alone_have_no_mean(folders: tuple[Path, Path], tmp_path: Path) -> None:
    assert call(folders[1], folders[1], output=tmp_path / "out")[0] == 0
    assert report(tmp_path / "out")["summary"]["image"]["psnr"] == summarise([float("inf")] * 4)


@pytest.mark.parametrize("blocked", ["out", "out/results.csv", "out/results.json"])
def test_an_output_that_cannot_be_written_is_a_failure(
    folders: tuple[Path, Path], tmp_path: Path, blocked: str
) -> None:
    """A file where the folder should be, or a folder where a file should be."""
    if blocked == "out":
        (tmp_path / blocked).write_text("")
    else:
        (tmp_path / blocked).mkdir(parents=True)
    failed, printed = call(*folders, output=tmp_path / "out")
    assert failed == 1
    assert f"failed: {tmp_path / 'out'}" in printed and "cannot be written" in printed and "d_restored" in printed
    assert not list(tmp_path.rglob(".part*"))


def test_results_are_replaced_by_the_next(folders: tuple[Path, Path], tmp_path: Path) -> None:
    call(*folders, output=tmp_path / "out")
    call(folders[0] / "a_restored.nii.gz", folders[1], output=tmp_path / "out")
    assert len(table(tmp_path / "out")) == len(report(tmp_path / "out")["rows"]) == 1


def test_what_is_returned_is_the_number_of_failures(folders: tuple[Path, Path], tmp_path: Path) -> None:
    save(folders[0] / "e.nii.gz", volume(5))
    save(folders[0] / "f.nii.gz", volume(5))
    save(folders[0] / "a_restored.nii.gz", volume(1)[1:])
    failed, printed = call(*folders, output=tmp_path / "out")
    assert failed == printed.count("failed: ") == len(report(tmp_path / "out")["failures"]) == 3


@pytest.mark.parametrize("which", [0, 1])
def test_a_path_without_scans_is_a_failure(folders: tuple[Path, Path], tmp_path: Path, which: int) -> None:
    (tmp_path / "empty").mkdir()
    paths = list(folders)
    paths[which] = tmp_path / "empty"
    failed, printed = call(paths[0], paths[1], output=tmp_path / "out")
    assert failed >= 1
    assert f"failed: {tmp_path / 'empty'}: holds no scans" in printed
    assert not (tmp_path / "out").exists()


def save_dicom(folder: Path, array: np.ndarray) -> None:
    """Write a CT series of a patient with a name."""
    folder.mkdir(parents=True)
    series, study, frame = generate_uid(), generate_uid(), generate_uid()
    for z in range(array.shape[2]):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
        ds.SOPClassUID, ds.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        ds.SeriesInstanceUID, ds.StudyInstanceUID, ds.FrameOfReferenceUID = series, study, frame
        ds.PatientName, ds.PatientID, ds.PatientBirthDate = "Quillfeather^Zebedee", "PID-4711-X", "19340229"
        ds.InstitutionName, ds.AccessionNumber, ds.StudyDate = "Saint Elsewhere", "ACC-0815-Y", "20190607"
        ds.SeriesDescription, ds.Modality, ds.InstanceNumber = "Thorax Quillfeather", "CT", z + 1
        ds.Rows, ds.Columns = array.shape[1], array.shape[0]
        ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 2.0 * z], [1, 0, 0, 0, 1, 0]
        ds.PixelSpacing, ds.SamplesPerPixel, ds.PhotometricInterpretation = [1, 1], 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
        ds.RescaleSlope, ds.RescaleIntercept = 1, -1000
        ds.PixelData = array[:, :, z].T.astype("<i2").tobytes()
        pydicom.dcmwrite(folder / f"{z}.dcm", ds)


def test_dicom_is_measured_and_no_patient_data_come_out(tmp_path: Path) -> None:
    save_dicom(tmp_path / "mine/one", volume(1, 20))
    save_dicom(tmp_path / "truth/one", volume(1))
    save_dicom(tmp_path / "mine/two", volume(2)[:, :-1])  # fails: another shape
    save_dicom(tmp_path / "truth/two", volume(2))
    save_dicom(tmp_path / "mine/three", volume(3))  # fails: no reference
    failed, printed = call(tmp_path / "mine", tmp_path / "truth", output=tmp_path / "out")
    assert failed == 2
    row, *tissue_rows = report(tmp_path / "out")["rows"]
    expected = measure(volume(1, 20) - 1000, volume(1) - 1000, float(np.ptp(volume(1))))  # in HU
    assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert row["region"] == "image"
    places = tissues(volume(1).astype(float) - 1000)
    assert {row["region"]: row["voxels"] for row in tissue_rows} == {f"tissue {n}": m.sum() for n, m in places.items()}
    stored = pydicom.dcmread(tmp_path / "mine/one/0.dcm")
    texts = [printed, *(path.read_text() for path in (tmp_path / "out").iterdir())]
    for word in (
        "quillfeather",
        "zebedee",
        "4711",
        "19340229",
        "elsewhere",
        "0815",
        "20190607",
        stored.SeriesInstanceUID,
    ):
        assert not [text for text in texts if word in text.lower().replace(str(tmp_path).lower(), "")]


def labels() -> np.ndarray:
    """Two blocks and nothing between."""
    found = np.zeros(SHAPE, np.uint8)
    found[1:6, 1:12, 1:11], found[8:13, 1:12, 1:11] = 2, 5
    return found


def test_each_label_is_measured_where_it_is(folders: tuple[Path, Path], tmp_path: Path) -> None:
    maps = save(tmp_path / "labels.nii.gz", labels())
    assert call(*folders, data_range=1000.0, output=tmp_path / "out", labels=maps, background=5)[0] == 0
    rows = [row for row in report(tmp_path / "out")["rows"] if row["case"] == "b_restored"]
    assert [row["region"] for row in rows] == ["image", "label 2", "label 5"]
    mine, truth = volume(2, 20).astype(float), volume(2).astype(float)
    for row, value in zip(rows[1:], (2, 5)):
        inside = labels() == value
        expected = measure(mine, truth, 1000.0, inside) | {
            "bias": (mine - truth)[inside].mean(),
            "rmse": np.sqrt(np.square(mine - truth)[inside].mean()),
            "noise_candidate": noise_level(mine, 2, inside),
        }
        assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-6)
        assert row["voxels"] == inside.sum()
    a, b = (mine[labels() == value] for value in (2, 5))
    assert rows[1]["cnr_candidate"] == pytest.approx(abs(a.mean() - b.mean()) / np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2))
    assert rows[0]["cnr_candidate"] is None and rows[2]["cnr_candidate"] is None  # the background itself


def test_a_background_that_is_not_there_is_a_failure(folders: tuple[Path, Path], tmp_path: Path) -> None:
    failed, printed = call(*folders, labels=save(tmp_path / "labels.nii.gz", labels()), background=9)
    assert failed == 4 and "has no label 9 for a" in printed


def test_slices_lie_across_the_widest_spacing_and_are_measured_one_by_one(folders: tuple[Path, Path], tmp_path: Path) -> None:
    mine, truth = volume(1, 10).astype(float), volume(1).astype(float)
    for given, axis in ((None, 2), (0, 0)):
        assert call(*folders, data_range=1000.0, output=tmp_path / "out", slice_axis=given)[0] == 0
        row = report(tmp_path / "out")["rows"][0]
        assert row["slice_axis"] == axis
        errors = np.square(mine - truth).mean(axis=tuple(i for i in range(3) if i != axis))
        assert row["psnr_slices"] == pytest.approx((10 * np.log10(1e6 / errors)).mean())
    assert report(tmp_path / "out")["protocol"]["slice_axis"] == 0


def test_scans_of_one_subject_are_one_in_the_summary(tmp_path: Path) -> None:
    for seed, name in enumerate(("sub-01_run-1", "sub-01_run-2", "sub-02", "sub-03", "other"), start=1):
        save(tmp_path / f"mine/{name}.nii.gz", volume(seed, 10 * seed))
        save(tmp_path / f"truth/{name}.nii.gz", volume(seed))
    call(tmp_path / "mine", tmp_path / "truth", output=tmp_path / "out")
    found = report(tmp_path / "out")
    mae = {row["case"]: row["mae"] for row in found["rows"]}
    by_subject = [mae["other"], (mae["sub-01_run-1"] + mae["sub-01_run-2"]) / 2, mae["sub-02"], mae["sub-03"]]
    assert found["summary"]["image"]["mae"] == summarise(by_subject)
    call(tmp_path / "mine", tmp_path / "truth", output=tmp_path / "out", subject="run-(.)")
    assert {row["subject"] for row in report(tmp_path / "out")["rows"]} == {"1", "2", "sub-02", "sub-03", "other"}


def test_hu_adds_tissues_to_scans_that_do_not_say_so(tmp_path: Path) -> None:
    truth = np.full(SHAPE, -95, np.int16)
    truth[7:] = 40
    changed = truth + np.where(truth == 40, 5, 0).astype(np.int16)
    paths = save(tmp_path / "mine.nii", changed), save(tmp_path / "truth.nii", truth)
    call(*paths, output=tmp_path / "plain")
    call(*paths, output=tmp_path / "hu", hu=True)
    assert [row["region"] for row in report(tmp_path / "plain")["rows"]] == ["image"]
    found = {row["region"]: row["bias"] for row in report(tmp_path / "hu")["rows"][1:]}
    assert found == {"tissue fat": 0, "tissue soft tissue": 5}


def test_uncertainty_maps_beside_their_images_are_not_measured(tmp_path: Path) -> None:
    for name in ("a", "a_uncertainty", "b"):
        save(tmp_path / f"in/{name}.nii.gz", volume(0, 5.0))
    assert call(tmp_path / "in", None, output=tmp_path / "out")[0] == 0
    assert {row["case"] for row in report(tmp_path / "out")["rows"]} == {"a", "b"}


def test_scans_are_measured_without_a_reference(folders: tuple[Path, Path], tmp_path: Path) -> None:
    failed, printed = call(folders[0], None, output=tmp_path / "out")
    assert failed == 0 and "a_restored" in printed and "PSNR" not in printed
    found = report(tmp_path / "out")
    assert [row["region"] for row in found["rows"][:2]] == ["image", "foreground"]
    assert not {"psnr", "ssim"} & found["definitions"].keys() and "noise" in found["definitions"]
    for seed, row in enumerate(found["rows"][::2], start=1):
        image = volume(seed, 10 * seed).astype(np.float32)
        assert row["noise"] == pytest.approx(noise_level(image, 2))
        assert row["noise"] == pytest.approx(10 * seed, rel=0.15)
        assert row["mean"] == pytest.approx(image.mean(), rel=1e-5)
        assert 0 < row["sharpness_in_slices"] < 1


def test_identical_numbers_whatever_else_is_measured(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """A region's numbers are its own: whether others are measured in the same run does not touch them."""
    one, other = save(tmp_path / "one.nii", (labels() == 2).astype(np.uint8)), save(tmp_path / "labels.nii", labels())
    call(*folders, mask=one, output=tmp_path / "mask")
    call(*folders, output=tmp_path / "labels", labels=other)
    a, b = (
        [{k: v for k, v in row.items() if k != "region"} for row in report(tmp_path / folder)["rows"] if row["region"] == region]
        for folder, region in (("mask", "mask"), ("labels", "label 2"))
    )
    assert a == b and len(a) == 4
