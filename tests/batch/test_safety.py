from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.random import RandomState
from rich.console import Console

from medgen.batch.protocol import Protocol
from medgen.batch.safety import flags, safety
from medgen.evaluation.changes import LIMIT
from tests.batch.test_evaluate import save

SHAPE = (40, 40, 30)
AFFINE = np.diag([1.0, 1.0, 1.0, 1.0])
NOISE = 8.0


def cube(x: int, side: int = 6) -> np.ndarray:
    found = np.zeros(SHAPE, bool)
    found[x : x + side, 16 : 16 + side, 12 : 12 + side] = True
    return found


def clean(lesions: dict[int, float]) -> np.ndarray:
    """Return a bright body with two lesions, each of so much contrast, in dark air."""
    image = np.zeros(SHAPE)
    image[3:-3, 3:-3, 3:-3] = 300
    for x, contrast in lesions.items():
        image[cube(x)] += contrast
    return image


def noisy(seed: int) -> np.ndarray:
    return clean({8: 100, 26: 100}) + NOISE * RandomState(seed).standard_normal(SHAPE)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Three scans denoised: b lost a lesion, c has one faded."""
    results = {"a": {8: 100, 26: 100}, "b": {8: 100}, "c": {8: 60, 26: 100}}
    for seed, (name, lesions) in enumerate(results.items()):
        save(tmp_path / f"before/{name}.nii.gz", noisy(seed).astype(np.float32), AFFINE)
        save(tmp_path / f"after/{name}_restored.nii.gz", clean(lesions).astype(np.float32), AFFINE)
        save(tmp_path / f"masks/{name}.nii.gz", (cube(8) | cube(26)).astype(np.uint8), AFFINE)
    return tmp_path


def call(folder: Path, lesions: bool = True, output: str | None = "out") -> tuple[int, str, dict[str, Any]]:
    console = Console(file=io.StringIO(), width=1000)
    out = folder / output if output else None
    failed = safety(folder / "after", folder / "before", folder / "masks" if lesions else None, out, Protocol(), console)
    found = json.loads((out / "safety.json").read_text()) if out and out.exists() else {}
    return failed, console.file.getvalue(), found  # type: ignore[attr-defined]


def test_the_case_to_look_at_first_is_the_one_that_lost_a_lesion(folders: Path) -> None:
    failed, printed, found = call(folders)
    assert failed == 0
    assert [case["case"] for case in found["look_at_first"]] == ["b_restored", "c_restored", "a_restored"]
    assert found["look_at_first"][0]["flags"] == ["lesion 1.2 lost", "lesion 1.2 contrast"]
    assert found["look_at_first"][1]["flags"] == ["lesion 1.1 contrast"] and found["look_at_first"][2]["flags"] == []
    rows = {(row["case"][0], row["lesion"]): row for row in found["rows"]}
    assert len(rows) == 6
    assert rows["c", "1.1"]["contrast_kept"] == pytest.approx(0.6, abs=0.02)
    assert rows["a", "1.2"]["contrast_kept"] == pytest.approx(1, abs=0.03)
    assert rows["a", "1.2"]["volume_after"] == cube(0).sum() == rows["a", "1.2"]["mask_volume"]
    assert rows["b", "1.2"]["volume_after"] == 0 and rows["b", "1.2"]["moved"] is None
    assert printed.index("b_restored") < printed.index("c_restored") < printed.index("a_restored")


def test_the_map_shows_what_noise_does_not_explain(folders: Path) -> None:
    _, _, found = call(folders)
    maps = {name: np.asarray(nib.load(folders / f"out/{name}_restored_change.nii.gz").dataobj) for name in "abc"}
    assert (maps["b"][cube(27, 4)] < -LIMIT).all()  # darker, far beyond
    inside = clean({}) > 0
    assert (maps["a"][inside] != 0).mean() < 1e-3
    outside = inside.copy()
    outside[22:36, 12:26, 8:22] = False  # the lesion and what the filter reaches
    assert (maps["b"][outside] != 0).mean() < 1e-3
    first = {case["case"][0]: case for case in found["look_at_first"]}
    assert all(case["noise"] == pytest.approx(NOISE, rel=0.05) for case in first.values())
    assert first["b"]["changed"] > 10 * first["a"]["changed"]


def test_without_lesions_the_changes_alone_decide(folders: Path) -> None:
    failed, _, found = call(folders, lesions=False)
    assert failed == 0
    assert [case["case"][0] for case in found["look_at_first"]] == ["b", "c", "a"]
    assert [row["case"] for row in found["rows"]] == [case["case"] for case in found["look_at_first"]]


def test_a_missing_mask_is_named_and_the_rest_go_on(folders: Path) -> None:
    (folders / "masks/b.nii.gz").unlink()
    failed, printed, found = call(folders)
    assert failed == 1 and "named b" in printed
    assert [case["case"][0] for case in found["look_at_first"]] == ["c", "a"]


def test_a_lesion_that_fills_the_image_is_named_and_the_rest_is_measured(folders: Path) -> None:
    save(folders / "masks/a.nii.gz", np.ones(SHAPE, np.uint8), AFFINE)
    failed, printed, found = call(folders)
    assert failed == 1 and "nothing but the lesion" in printed and len(found["look_at_first"]) == 3


def test_labels_of_what_is_around_a_lesion_are_its_surroundings(folders: Path) -> None:
    body = np.where(clean({}) > 0, 2, 0).astype(np.uint8)
    body[cube(8)], body[cube(26)] = 1, 1
    save(folders / "masks/c.nii.gz", body, AFFINE)
    failed, _, found = call(folders)
    assert failed == 0
    rows = {row["lesion"]: row for row in found["rows"] if row["case"][0] == "c"}
    assert rows["1.1"]["contrast_kept"] == pytest.approx(0.6, abs=0.02) and set(rows) == {"1.1", "1.2", "2.1"}


def test_an_input_without_noise_is_refused(folders: Path) -> None:
    save(folders / "before/a.nii.gz", clean({8: 100}).astype(np.float32), AFFINE)
    failed, printed, _ = call(folders)
    assert failed == 1 and "a.nii.gz" in printed


KEPT = {"contrast_kept": 1.0, "volume_kept": 1.0, "volume_after": 10.0, "moved": 0.0}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, []),
        ({"contrast_kept": 0.79}, ["contrast"]),
        ({"contrast_kept": 1.26}, ["contrast"]),
        ({"contrast_kept": float("nan")}, ["contrast"]),
        ({"volume_kept": 0.7}, ["volume"]),
        ({"moved": 2.5}, ["moved"]),
        ({"volume_after": 0.0, "volume_kept": 0.0, "moved": float("nan")}, ["lost"]),
    ],
)
def test_flags(change: dict[str, float], found: list[str]) -> None:
    assert flags({**KEPT, **change}, 1.0) == found
    assert flags({**KEPT, "moved": 2.5}, 5.0) == []  # less than a voxel
