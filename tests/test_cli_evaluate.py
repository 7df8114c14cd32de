"""The commands that measure, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.batch.test_evaluate import save, volume
from tests.test_cli import call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.RandomState(0)
    for seed, name in enumerate(("sub-01", "sub-02", "sub-03"), start=1):
        save(tmp_path / f"clean/{name}.nii.gz", volume(seed))
        save(tmp_path / f"noisy/{name}.nii.gz", volume(seed, 30))
        save(tmp_path / f"mine/{name}_restored.nii.gz", volume(seed, 10))
        save(tmp_path / f"labels/{name}.nii.gz", random.randint(0, 3, volume(0).shape).astype(np.uint8))
    return tmp_path


@pytest.mark.parametrize("command", ["evaluate", "compare", "agreement", "safety", "speed", "report"])
def test_every_command_has_an_example(command: str) -> None:
    code, out, _ = call(command, "--help")
    assert code == 0 and f"Example: medgen {command}" in " ".join(out.split())


def test_evaluate_with_and_without_a_reference(folder: Path) -> None:
    code, _, _ = call("evaluate", folder / "mine", "--reference", folder / "clean", "--labels", folder / "labels",
                      "--background", 2, "--slice-axis", 1, "-o", folder / "out")  # fmt: skip
    found = json.loads((folder / "out/results.json").read_text())
    assert code == 0 and {row["region"] for row in found["rows"]} == {"image", "label 1", "label 2"}
    assert found["protocol"]["background"] == 2 and found["protocol"]["slice_axis"] == 1
    code, out, _ = call("evaluate", folder / "mine", "-o", folder / "alone")
    assert code == 0 and "noise" in out and (folder / "alone/results.csv").is_file()


def test_compare_names_methods_by_their_folders(folder: Path) -> None:
    code, out, _ = call("compare", folder / "mine", folder / "noisy", "--reference", folder / "clean", "--measure", "mae", "-o", folder / "out")
    assert code == 0 and "mine - noisy" in out
    (row,) = json.loads((folder / "out/comparison.json").read_text())["rows"]
    assert row["difference"] < 0 and row["effect"] == -1


def test_agreement(folder: Path) -> None:
    code, out, _ = call("agreement", folder / "labels", folder / "labels", "-o", folder / "out")
    assert code == 0 and "limits of agreement" in out
    assert json.loads((folder / "out/agreement.json").read_text())["agreement"]["1"]["sd"] == 0


def test_safety(folder: Path) -> None:
    code, out, _ = call("safety", folder / "mine", "--before", folder / "noisy", "-o", folder / "out")
    assert code == 0 and "look at" in out
    assert (folder / "out/sub-01_restored_change.nii.gz").is_file() and (folder / "out/safety.json").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "mine", "--labels", "absent"], "absent: there is no such"),
        (["evaluate", "mine", "--data-range", "9"], "want a --reference"),
        (["evaluate", "mine", "--reference", "clean", "--background", "1"], "wants --labels"),
        (["evaluate", "mine", "--reference", "clean", "--subject", "("], "no regular expression"),
        (["compare", "mine", "--reference", "clean"], "two methods"),
        (["compare", "mine", "mine", "--reference", "clean"], "two methods"),
        (["compare", "mine", "noisy", "--reference", "clean", "--measure", "beauty"], "not beauty"),
        (["safety", "mine", "--before", "absent"], "absent"),
        (["speed", "no_such_bundle", "mine"], "no bundle is named"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    folder: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(folder)
    code, _, err = call(*words)
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1
