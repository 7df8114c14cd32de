from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from medgen.batch.search import _grid, read_space
from medgen.bundles import BundleError, open_bundle
from medgen.cli import app
from tests.batch.tiny import ARGUMENTS, BUNDLE, bundle, kill_once_there, scans

SPACE = {"learning_rate": {"low": 1e-5, "high": 1e-3, "log": True}, "train#loss#power": [1.0, 0.5]}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    bundle(folder)
    scans(folder / "data", 3)
    (folder / "space.json").write_text(json.dumps(SPACE))
    return folder


def arguments(small: Path, output: Path, count: int, sampler: str) -> list[str]:
    parts = ["train", small / BUNDLE, "--data", small / "data", "-o", output, "--device", "cpu", *ARGUMENTS, "--epochs", 1,
             "--search", count, "--space", small / "space.json", "--sampler", sampler]  # fmt: skip
    return [str(part) for part in parts]


def search(small: Path, output: Path, count: int, sampler: str) -> list[dict]:
    """Run a search through the command line, and return the settings of its trials."""
    done = CliRunner().invoke(app, arguments(small, output, count, sampler))
    assert done.exit_code == 0, done.stderr
    result = json.loads((output / "result.json").read_text())
    trials = [json.loads(path.read_text()) for path in sorted((output / "search").glob("trial*/train.json"))]
    tried = [{"learning_rate": t["learning_rate"], "train#loss#power": t["train"]["loss"]["power"]} for t in trials]
    assert {key: result["settings"][key] for key in SPACE} in tried
    assert open_bundle(str(output / BUNDLE), "cpu").network is not None
    return tried


def test_a_killed_search_goes_on_and_tries_the_same(small: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "medgen.cli", *arguments(small, tmp_path / "killed", 2, "bayesian")]
    kill_once_there(command, tmp_path / "killed/search/trial1/train.json")
    assert search(small, tmp_path / "killed", 2, "bayesian") == search(small, tmp_path / "whole", 2, "bayesian")
    results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("killed", "whole")]
    assert results[0]["value"] == results[1]["value"] and results[0]["settings"] == results[1]["settings"]


def test_all_trials_are_judged_alike(small: Path, tmp_path: Path) -> None:
    """A trial with another loss has the same value before its training as one without."""
    search(small, tmp_path / "out", 2, "grid")
    import optuna

    study = optuna.load_study(study_name="medgen", storage=f"sqlite:///{tmp_path / 'out/search/study.db'}")
    powers = {trial.user_attrs["settings"]["train#loss#power"] for trial in study.trials}
    assert len({trial.intermediate_values[0] for trial in study.trials}) == 1 and powers <= {1.0, 0.5}


def test_random_trials_are_drawn_from_the_space_and_more_of_them_can_follow(small: Path, tmp_path: Path) -> None:
    (first,) = search(small, tmp_path / "out", 1, "random")
    tried = search(small, tmp_path / "out", 2, "random")
    assert len(tried) == 2 and tried[0] == first and tried[1]["learning_rate"] != first["learning_rate"]
    assert all(1e-5 <= one["learning_rate"] <= 1e-3 and one["train#loss#power"] in (1.0, 0.5) for one in tried)
    again = CliRunner().invoke(app, arguments(small, tmp_path / "out", 2, "grid"))
    assert again.exit_code == 2 and "another sampler" in again.stderr


def test_a_grid_holds_every_combination_once() -> None:
    space = {"a": [1, [2, 3]], "b": {"low": 1, "high": 100, "log": True, "points": 3, "int": True}}
    points = _grid(space, seed=0)
    assert sorted((str(p["a"]), p["b"]) for p in points) == [(a, b) for a in ("1", "[2, 3]") for b in (1, 10, 100)]
    assert _grid(space, seed=0) == points and _grid(space, seed=1) != points


@pytest.mark.parametrize("space", ["{", "{}", "[1]", '{"a": []}', '{"a": 3}', '{"a": {"low": 1}}', '{"a": {"low": 2, "high": 1}}',
                                   '{"a": {"low": 0, "high": 1, "log": true}}'])  # fmt: skip
def test_a_space_that_is_none_is_refused_with_the_form(space: str, tmp_path: Path) -> None:
    (tmp_path / "space.json").write_text(space)
    with pytest.raises(BundleError, match="JSON object of config keys"):
        read_space(tmp_path / "space.json")
