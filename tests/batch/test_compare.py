from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.random import RandomState
from rich.console import Console
from scipy.stats import wilcoxon

from medgen.batch.compare import compare
from medgen.batch.protocol import Protocol
from medgen.evaluation.image_quality import mae
from medgen.evaluation.statistics import holm
from tests.batch.test_evaluate import save

SHAPE = (12, 12, 12)
SUBJECTS = [f"sub-{number:02}" for number in range(8)]
NOISE = {"good": 5.0, "bad": 9.0, "same": 5.0}


def image(subject: str, method: str = "", noise: float = 0.0) -> np.ndarray:
    random = RandomState(sum(map(ord, subject + method)))
    return (500 + 100 * np.sin(np.indices(SHAPE).sum(0) / 4) + noise * random.standard_normal(SHAPE)).astype(np.float32)


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    for subject in SUBJECTS:
        save(tmp_path / f"truth/{subject}.nii.gz", image(subject))
        for method, noise in NOISE.items():
            save(tmp_path / f"{method}/{subject}_restored.nii.gz", image(subject, method, noise))
    return {method: tmp_path / method for method in NOISE}


def call(methods: dict[str, Path], reference: Path, output: Path, measures: list[str]) -> tuple[int, str, dict[str, Any]]:
    console = Console(file=io.StringIO(), width=1000)
    failed = compare(methods, reference, Protocol(1000.0), measures, output, console)
    path = output / "comparison.json"
    return failed, console.file.getvalue(), json.loads(path.read_text()) if path.is_file() else {}  # type: ignore[attr-defined]


def test_methods_are_tested_pair_by_pair(folders: dict[str, Path], tmp_path: Path) -> None:
    failed, printed, found = call(folders, tmp_path / "truth", tmp_path / "out", ["psnr", "mae"])
    assert failed == 0 and "good - bad" in printed
    rows = {(row["measure"], row["first"], row["second"]): row for row in found["rows"]}
    assert len(rows) == 6
    errors = {m: [mae(image(s, m, NOISE[m]), image(s)) for s in SUBJECTS] for m in NOISE}
    row = rows["mae", "good", "bad"]
    assert row["n"] == 8 and row["effect"] == -1 and row["p"] == pytest.approx(2 / 2**8)  # lower in all of 8
    assert row["difference"] == pytest.approx(np.mean(errors["good"]) - np.mean(errors["bad"]))
    assert rows["psnr", "good", "bad"]["effect"] == 1
    assert rows["mae", "good", "same"]["p"] == pytest.approx(wilcoxon(errors["good"], errors["same"]).pvalue)
    assert [row["p_holm"] for row in found["rows"]] == holm([row["p"] for row in found["rows"]])
    assert found["summary"]["bad"]["image"]["mae"]["mean"] == pytest.approx(np.mean(errors["bad"]))
    assert {"difference", "p", "p_holm", "effect", "psnr", "mae"} <= found["definitions"].keys()


def test_a_case_that_one_method_lacks_is_named_and_left_out(folders: dict[str, Path], tmp_path: Path) -> None:
    (folders["bad"] / f"{SUBJECTS[3]}_restored.nii.gz").unlink()
    failed, printed, found = call(folders, tmp_path / "truth", tmp_path / "out", ["mae"])
    assert failed == 2  # the reference without a candidate, and the case left out
    assert f"bad: has no result for {SUBJECTS[3]}" in printed
    assert {row["n"] for row in found["rows"]} == {7}


def test_scans_of_one_subject_are_one_pair(folders: dict[str, Path], tmp_path: Path) -> None:
    for subject in SUBJECTS[:6]:  # a second run of each
        save(tmp_path / f"truth/{subject}_run-2.nii.gz", image(subject))
        for method, noise in NOISE.items():
            save(tmp_path / f"{method}/{subject}_run-2_restored.nii.gz", image(subject, method, noise))
    failed, _, found = call(folders, tmp_path / "truth", tmp_path / "out", ["mae"])
    assert failed == 0 and {row["n"] for row in found["rows"]} == {8}


def test_a_method_against_itself_differs_in_nothing(folders: dict[str, Path], tmp_path: Path) -> None:
    _, _, found = call({"a": folders["good"], "b": folders["good"]}, tmp_path / "truth", tmp_path / "out", ["mae"])
    (row,) = found["rows"]
    assert (row["difference"], row["p"], row["p_holm"], row["effect"]) == (0, None, None, None)


def test_identical_images_leave_the_psnr_out(folders: dict[str, Path], tmp_path: Path) -> None:
    for subject in SUBJECTS[:2]:
        save(folders["good"] / f"{subject}_restored.nii.gz", image(subject))
    _, _, found = call(folders, tmp_path / "truth", tmp_path / "out", ["psnr", "mae"])
    assert [row["n"] for row in found["rows"] if "good" == row["first"]] == [6, 6, 8, 8]
