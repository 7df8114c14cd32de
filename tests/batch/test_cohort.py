from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medgen.batch.body_part import Body, measure, part_of
from medgen.batch.cohort import Cohort, gather, report
from medgen.scans import find
from tests.batch.tiny import ball, mr_series, save, scans


def reasons(cohort: Cohort) -> dict[str, str]:
    return {Path(one.source).name: one.reason for one in cohort.excluded}


def kept(cohort: Cohort) -> list[str]:
    return [member.case.name for member in cohort.members]


def test_what_is_unfit_is_left_out_each_with_its_reason(tmp_path: Path) -> None:
    scans(tmp_path, 3)
    whole = (tmp_path / "p0_T1.nii.gz").read_bytes()
    (tmp_path / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    save(tmp_path / "air.nii.gz", np.zeros((9, 9, 9), np.int16))
    save(tmp_path / "labels.nii.gz", (ball(1) > 300).astype(np.int16) * 7)
    save(tmp_path / "ct.nii.gz", ball(9) - 1000)
    cohort = gather(find(tmp_path), "MR")
    assert kept(cohort) == ["p0_T1", "p1_T1", "p2_T1"]
    told = reasons(cohort)
    assert set(told) == {"cut.nii.gz", "air.nii.gz", "labels.nii.gz", "ct.nii.gz"}
    assert "all its voxels are 0" in told["air.nii.gz"] and "label map: 2" in told["labels.nii.gz"]
    assert "looks like CT" in told["ct.nii.gz"]
    assert [Path(one.source).name for one in cohort.excluded if one.unreadable] == ["cut.nii.gz"]


def test_a_bundle_for_ct_takes_ct_only(tmp_path: Path) -> None:
    save(tmp_path / "ct.nii.gz", ball(0) - 1000)
    save(tmp_path / "mr.nii.gz", ball(1))
    cohort = gather(find(tmp_path), "CT")
    assert kept(cohort) == ["ct"] and "not like CT" in reasons(cohort)["mr.nii.gz"]


def test_the_same_voxels_are_taken_once_however_they_are_stored(tmp_path: Path) -> None:
    save(tmp_path / "a.nii.gz", ball(0))
    turned = nib.load(tmp_path / "a.nii.gz").as_reoriented(np.array([[2, -1], [0, 1], [1, -1]]))
    nib.save(turned, tmp_path / "b.nii.gz")
    save(tmp_path / "c.nii.gz", ball(1))
    cohort = gather(find(tmp_path), "MR")
    assert kept(cohort) == ["a", "c"] and "same voxels as" in reasons(cohort)["b.nii.gz"]


def test_outliers_of_geometry_and_intensity_are_found_and_can_be_kept(tmp_path: Path) -> None:
    scans(tmp_path, 6)
    save(tmp_path / "coarse.nii.gz", ball(7), spacing=(4.0, 4.0, 8.0))
    save(tmp_path / "noisy.nii.gz", np.random.RandomState(0).rayleigh(200, (28, 26, 24)).astype(np.int16))
    cohort = gather(find(tmp_path), "MR")
    assert kept(cohort) == [f"p{n}_T1" for n in range(6)]
    assert all("outlier" in reason for reason in reasons(cohort).values())
    assert len(gather(find(tmp_path), "MR", keep_outliers=True).members) == 8


def test_few_scans_have_no_outliers(tmp_path: Path) -> None:
    scans(tmp_path, 2)
    save(tmp_path / "coarse.nii.gz", ball(7), spacing=(4.0, 4.0, 8.0))
    assert len(gather(find(tmp_path), "MR").members) == 3


def oval(sides: tuple[float, float, float], seed: int = 0, inside: float = 500.0, outside: float = 0.0) -> np.ndarray:
    """Return an ellipsoid of these sides in mm, in noise of 15, at voxels of 8 mm."""
    rng = np.random.RandomState(seed)
    x, y, z = np.ogrid[-25:25, -25:25, -19:19]
    parts = [(axis * 16 / (side + 4 * rng.rand())) ** 2 for axis, side in zip((x, y, z), sides)]
    return np.where(sum(parts) < 1, inside, outside) + 15 * rng.standard_normal((50, 50, 38))


def trunk(seed: int, lungs: bool = True) -> np.ndarray:
    """Return a CT in HU of a trunk with a spine, and lungs or none."""
    hu = oval((340, 240, 900), seed, 40.0, -1000.0)
    x, y, z = np.ogrid[-25:25, -25:25, -19:19]
    for middle in (-10, 10) if lungs else ():
        hu[((x - middle) * 16 / 110) ** 2 + (y * 16 / 150) ** 2 + 0 * z < 1] = -800
    hu[((x * 16 / 40) ** 2 + ((y + 11) * 16 / 40) ** 2 + 0 * z < 1)] = 400
    return hu


EIGHT = (8.0, 8.0, 8.0)


@pytest.mark.parametrize("count", [2, 5])
def test_a_nifti_of_another_body_part_is_left_out_by_its_voxels(count: int, tmp_path: Path) -> None:
    for number in range(count):
        save(tmp_path / f"mr/head{number}.nii.gz", oval((150, 190, 230), number).astype(np.float32), EIGHT)
        save(tmp_path / f"ct/chest{number}.nii.gz", trunk(number).astype(np.int16), EIGHT)
    brain = save(tmp_path / "mr/brain.nii.gz", np.abs(oval((125, 160, 125), 7)).astype(np.float32), EIGHT)  # a head without its skull
    belly = nib.load(save(tmp_path / "mr/belly.nii.gz", oval((330, 230, 900), 8).astype(np.float32), EIGHT))
    nib.save(belly.as_reoriented(np.array([[2, -1], [0, 1], [1, -1]])), tmp_path / "mr/belly.nii.gz")
    save(tmp_path / "ct/low.nii.gz", trunk(9, lungs=False).astype(np.int16), EIGHT)
    for modality, odd, told in (("MR", "belly", "trunk (cross-section"), ("CT", "low", "abdomen (cross-section")):
        cohort = gather(find(tmp_path / modality.lower()), modality)
        part = {"MR": "head", "CT": "chest"}[modality]
        assert kept(cohort) == sorted([f"{part}{number}" for number in range(count)] + [brain.name.partition(".")[0]] * (modality == "MR"))
        (one,) = cohort.excluded
        assert Path(one.source).name == f"{odd}.nii.gz" and told in one.reason and f"others {part}" in one.reason
        assert report(cohort)["kept"][-1]["shows"] == part


def test_a_folder_of_two_body_parts_is_taken_as_meant(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"chest{number}.nii.gz", trunk(number).astype(np.int16), EIGHT)
        save(tmp_path / f"low{number}.nii.gz", trunk(number, lungs=False).astype(np.int16), EIGHT)
    assert not [one for one in gather(find(tmp_path), "CT").excluded if "part of the body" in one.reason]


def test_a_body_without_skull_or_lungs_or_of_a_phantom_is_told_plainly_or_not_at_all() -> None:
    skull = oval((150, 190, 230), 0, 40.0, -1000.0)
    skull[(oval((150, 190, 230), 0) > 250) & ~(oval((138, 178, 218), 0) > 250)] = 900
    assert part_of(measure(skull, EIGHT, "CT"), "CT") == "head"
    assert part_of(measure(ball(0).astype(float), (1.0, 1.2, 2.0), "MR"), "MR") == ""
    assert measure(np.zeros((9, 9, 9)), EIGHT, "MR") == Body() == measure(np.full((9, 9, 9), -1000.0), EIGHT, "CT")
    noisy = np.hypot(oval((150, 190, 230), 0) + 100 * np.random.RandomState(1).standard_normal((50, 50, 38)), 100)
    assert part_of(measure(noisy, EIGHT, "MR"), "MR") == "head"


@pytest.mark.parametrize("stated,out", [(("HEAD", "HEAD", "KNEE"), 1), (("HEAD", "KNEE"), 0), (("", "", "KNEE"), 0)])
def test_another_body_part_than_most_is_left_out(stated: tuple[str, ...], out: int, tmp_path: Path) -> None:
    for number, part in enumerate(stated):
        mr_series(tmp_path / f"s{number}", number, BodyPartExamined=part, PatientID=f"Jane^{number}")
    cohort = gather(find(tmp_path), "MR")
    assert len(cohort.excluded) == out
    assert all("KNEE" in one.reason for one in cohort.excluded)
    assert {member.patient for member in cohort.members} <= {f"Jane^{n}" for n in range(3)}
    assert "Jane" not in str(report(cohort)) and "Jane" not in str(cohort.members)
