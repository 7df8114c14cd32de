from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from medgen.batch.agreement import agreement
from medgen.batch.protocol import Protocol
from medgen.evaluation.agreement import bland_altman
from tests.batch.test_evaluate import save

AFFINE = np.diag([2.0, 2.0, 2.5, 1.0])  # 10 mm^3, so that 100 voxels are 1 ml


def labels(*counts: int) -> np.ndarray:
    """Return a label map with so many voxels of 1, 2 and so on."""
    flat = np.zeros(20 * 20 * 20, np.uint8)
    flat[: sum(counts)] = np.repeat(np.arange(1, len(counts) + 1), counts)
    return flat.reshape(20, 20, 20)


def call(before: Path, after: Path, output: Path | None = None) -> tuple[int, str, dict[str, Any]]:
    console = Console(file=io.StringIO(), width=1000)
    failed = agreement(before, after, Protocol(), output, console)
    found = json.loads((output / "agreement.json").read_text()) if output and output.exists() else {}
    return failed, console.file.getvalue(), found  # type: ignore[attr-defined]


def test_volumes_are_in_ml_and_agree_as_bland_and_altman_say(tmp_path: Path) -> None:
    before, after = [(500, 300), (700, 400), (900, 600)], [(510, 300), (730, 400), (940, 600)]
    for name, first, second in zip("abc", before, after):
        save(tmp_path / f"before/{name}.nii.gz", labels(*first), AFFINE)
        save(tmp_path / f"after/{name}_restored.nii.gz", labels(*second), AFFINE)
    failed, printed, found = call(tmp_path / "before", tmp_path / "after", tmp_path / "out")
    assert failed == 0 and "limits of agreement" in printed
    rows = [(row["case"], row["label"], row["before_ml"], row["after_ml"]) for row in found["rows"]]
    assert rows[:2] == [("a", 1, 5.0, pytest.approx(5.1)), ("a", 2, 3.0, 3.0)] and len(rows) == 6
    assert found["agreement"]["1"] == pytest.approx(bland_altman([5, 7, 9], [5.1, 7.3, 9.4]))
    assert found["agreement"]["2"]["bias"] == 0 and found["agreement"]["2"]["sd"] == 0


def test_a_label_that_vanished_has_no_volume_after(tmp_path: Path) -> None:
    _, printed, found = call(
        save(tmp_path / "a.nii", labels(100, 200), AFFINE), save(tmp_path / "b.nii", labels(100), AFFINE), tmp_path / "out"
    )
    assert [row["after_ml"] for row in found["rows"]] == [1, 0]
    assert found["agreement"] == {"1": None, "2": None} and "< 3" in printed


def test_what_is_no_label_map_is_refused(tmp_path: Path) -> None:
    image = save(tmp_path / "a.nii", labels(100).astype(np.float32) + 0.5)
    failed, printed, _ = call(image, image)
    assert failed == 1 and "between whole numbers" in printed
