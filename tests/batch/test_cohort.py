from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

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


@pytest.mark.parametrize("stated,out", [(("HEAD", "HEAD", "KNEE"), 1), (("HEAD", "KNEE"), 0), (("", "", "KNEE"), 0)])
def test_another_body_part_than_most_is_left_out(stated: tuple[str, ...], out: int, tmp_path: Path) -> None:
    for number, part in enumerate(stated):
        mr_series(tmp_path / f"s{number}", number, BodyPartExamined=part, PatientID=f"Jane^{number}")
    cohort = gather(find(tmp_path), "MR")
    assert len(cohort.excluded) == out
    assert all("KNEE" in one.reason for one in cohort.excluded)
    assert {member.patient for member in cohort.members} <= {f"Jane^{n}" for n in range(3)}
    assert "Jane" not in str(report(cohort)) and "Jane" not in str(cohort.members)
