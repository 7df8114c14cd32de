from __future__ import annotations

from pathlib import Path

import pytest

from medgen.batch.cohort import gather
from medgen.batch.split import divide, subjects
from medgen.bundles import BundleError
from medgen.scans import find
from tests.batch.tiny import ball, mr_series, save


def whose(data: Path, table: Path | None = None) -> dict[str, str]:
    return subjects(gather(find(data), "MR", keep_outliers=True).members, data, table)


def test_a_patient_of_several_series_is_one_subject_without_a_name(tmp_path: Path) -> None:
    for number, patient in enumerate(["Jane", "Joe", "Jane"]):
        mr_series(tmp_path / f"s{number}", number, PatientID=patient)
    assert whose(tmp_path) == {"s0": "patient 1", "s1": "patient 2", "s2": "patient 1"}


@pytest.mark.parametrize(
    "files,expected",
    [
        (["sub-01/ses-1/anat/sub-01_ses-1_T1w", "sub-01/ses-2/anat/x", "sub-02/anat/y"], ["sub-01", "sub-01", "sub-02"]),
        (["anna/T1", "anna/T2", "bert/T1"], ["folder anna", "folder anna", "folder bert"]),
        (["p1_T1", "p1_flair", "p2_T1", "scan_3"], ["p1", "p1", "p2", "scan_3"]),
        (["t1/p1", "t2/p1", "t1/p2"], ["p1", "p1", "p2"]),
        (["IXI002-Guys-0828-T1", "IXI002-Guys-0828-T2", "IXI012-HH-1211-T1"], ["IXI002", "IXI002", "IXI012"]),
        (["p1/visit1/T1", "p1/visit2/T1", "p2/visit1/T1"], ["folder p1", "folder p1", "folder p2"]),
        (["p1_visit1_T1", "p1_ses2_T1", "p2_T1"], ["p1", "p1", "p2"]),
    ],
    ids=["BIDS", "folders", "names", "folders of sequences", "IXI", "visits", "names with visits"],
)
def test_subjects_come_from_the_path(files: list[str], expected: list[str], tmp_path: Path) -> None:
    for number, name in enumerate(files):
        save(tmp_path / f"{name}.nii.gz", ball(number))
    found = whose(tmp_path)
    by_file = {str(c.files[0].relative_to(tmp_path)): found[c.name] for c in find(tmp_path).cases}
    assert [by_file[f"{name}.nii.gz"] for name in files] == expected


def test_a_table_says_who_is_who_and_must_say_all(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"data/s{number}.nii.gz", ball(number))
    table = tmp_path / "who.csv"
    table.write_text("file,subject\ns0.nii.gz,a\ns1,a\ns2.nii.gz,b\n")
    assert list(whose(tmp_path / "data", table).values()) == ["a", "a", "b"]
    table.write_text("file,subject\ns0.nii.gz,a\n")
    with pytest.raises(BundleError, match="says nothing of s1"):
        whose(tmp_path / "data", table)
    table.write_text("scan;who\n")
    with pytest.raises(BundleError, match="no columns"):
        whose(tmp_path / "data", table)


def test_whole_subjects_are_held_out_by_the_seed() -> None:
    subject = {f"scan{n}": f"p{n // 2}" for n in range(20)}
    out = divide(subject, 0.3, seed=0)
    assert len(out) == 3 and out == divide(dict(reversed(subject.items())), 0.3, seed=0)
    assert any(divide(subject, 0.3, seed) != out for seed in range(1, 5))
    assert len(divide({"a": "1", "b": "2"}, 0.9, 0)) == 1  # someone is left to train on


@pytest.mark.parametrize("subject", [{}, {"a": "x", "b": "x"}])
def test_fewer_than_two_subjects_cannot_be_divided(subject: dict[str, str]) -> None:
    with pytest.raises(BundleError, match="--subjects"):
        divide(subject, 0.2, 0)


def test_series_of_an_anonymous_patient_are_of_the_folder_above(tmp_path: Path) -> None:
    for number, folder in enumerate(["p1/T1", "p1/T2", "p2/401_AX_T1"]):
        mr_series(tmp_path / folder, number, PatientID="")
    assert sorted(whose(tmp_path).values()) == ["folder p1", "folder p1", "folder p2"]
