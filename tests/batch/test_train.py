from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from typer.testing import CliRunner

from medgen.batch.train import Options, prepare
from medgen.batch.train_config import configure, schedules
from medgen.bundles import BundleError, available, load_weights, open_bundle, read_metadata
from medgen.cli import app
from tests.batch.tiny import ARGUMENTS, BUNDLE, ball, bundle, kill_once_there, mr_series, save, scans


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny bundle, and scans of four subjects in data/."""
    folder = tmp_path_factory.mktemp("small")
    bundle(folder)
    scans(folder / "data")
    return folder


def train(small: Path, output: Path, *more: str, data: Path | None = None) -> tuple[int, str, str]:
    arguments = [small / BUNDLE, "--data", data or small / "data", "-o", output, "--device", "cpu", *ARGUMENTS, *more]
    result = CliRunner().invoke(app, ["train", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def tuned(small: Path) -> Path:
    """The output folder of an undisturbed fine-tuning."""
    code, out, err = train(small, small / "tuned", "--schedule", "cosine")
    assert code == 0, err
    assert "epoch 2: training loss" in out and "before the training" in out
    return small / "tuned"


def test_the_tuned_bundle_holds_the_best_weights_and_runs(small: Path, tuned: Path, tmp_path: Path) -> None:
    own = open_bundle(str(tuned / BUNDLE), "cpu")
    result = json.loads((tuned / "result.json").read_text())
    assert [epoch for epoch, _ in result["history"]] == [0, 1, 2]
    assert result["value"] == min(value for _, value in result["history"])
    assert "fine-tuned on 3 scans of 3 subjects" in own.metadata["data_source"]
    assert len(own.metadata["likeness"]["rows"]) >= 3  # of these scans, not of the shipped bundle's
    before = open_bundle(str(small / BUNDLE), "cpu").network.state_dict()
    changed = [key for key, value in own.network.state_dict().items() if not torch.equal(value, before[key])]
    assert changed and all(key.startswith("trunk") for key in changed)
    done = CliRunner().invoke(app, ["run", str(tuned / BUNDLE), str(small / "data/p0_T1.nii.gz"), "-o", str(tmp_path)])
    assert done.exit_code == 0
    assert nib.load(tmp_path / f"p0_T1_{BUNDLE}.nii.gz").shape == (28, 26, 24)
    assert "unlike" not in done.stderr


def test_the_validation_value_is_the_loss_of_the_weights_on_the_held_out(tuned: Path) -> None:
    from medgen.training.held_out import HeldOut

    split = json.loads((tuned / "split.json").read_text())
    held = [row["file"] for row in split["validation"]]
    assert len(held) == 1 and held[0] not in {row["file"] for row in split["train"]}
    judge = HeldOut(str(tuned / "train.json"), held, count=2, seed=0)
    network = load_weights(open_bundle(str(tuned / BUNDLE), "cpu").get("network_def"), tuned / BUNDLE)
    with torch.inference_mode():
        losses = [float(judge.loss(network(s["image"][None]), s["label"][None])) for s in judge.samples]
    assert np.mean(losses) == pytest.approx(json.loads((tuned / "result.json").read_text())["value"], rel=2e-3)  # bf16


def test_curves_and_pictures_are_in_tensorboard(tuned: Path) -> None:
    events = EventAccumulator(str(tuned / "tensorboard")).Reload()
    told = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    history = json.loads((tuned / "result.json").read_text())["history"]
    assert [step for step, _ in told["validation/loss"]] == [0, 1, 2]
    np.testing.assert_allclose([v for _, v in told["validation/loss"]], [v for _, v in history], rtol=1e-5)
    rates = [value for _, value in told["train/learning_rate"]]
    np.testing.assert_allclose(rates, 5e-5 * (1 + np.cos(np.pi * np.arange(1, 5) / 4)), rtol=1e-4, atol=1e-9)
    assert len(told["train/loss"]) == 4 and len(events.Tags()["images"]) >= 3


def test_a_killed_training_ends_in_the_same_weights(small: Path, tuned: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "medgen.cli", "train", small / BUNDLE, "--data", small / "data", "-o", tmp_path / "out",
               "--device", "cpu", *ARGUMENTS, "--schedule", "cosine"]  # fmt: skip
    kill_once_there(command, tmp_path / "out/state/checkpoint_epoch=1.pt")
    assert not (tmp_path / "out/result.json").exists()
    code, out, err = train(small, tmp_path / "out", "--schedule", "cosine")
    assert code == 0, err
    assert "taken again" in out
    for file in (f"{BUNDLE}/models/model.pt", "state/model.pt"):
        whole, resumed = (torch.load(folder / file, weights_only=True) for folder in (tuned, tmp_path / "out"))
        assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    histories = [json.loads((folder / "result.json").read_text())["history"] for folder in (tuned, tmp_path / "out")]
    assert histories[0] == histories[1]


def test_it_stops_early_and_keeps_the_best(small: Path, tmp_path: Path) -> None:
    """At a learning rate that ruins the network the weights from before are the best."""
    code, out, err = train(small, tmp_path / "out", "--epochs", "9", "--patience", "1", "--set", "learning_rate=0.5",
                           "--schedule", "constant")  # fmt: skip
    assert code == 0, err
    result = json.loads((tmp_path / "out/result.json").read_text())
    assert result["epoch"] == result["history"][-2][0] and len(result["history"]) < 9
    assert f"best at epoch {result['epoch']}" in out


def test_from_scratch_with_another_network_gives_a_bundle_of_that_network(small: Path, tmp_path: Path) -> None:
    code, _, err = train(small, tmp_path / "out", "--from-scratch", "--epochs", "1", "--set", "network_def#widths=[8,8,16]")
    assert code == 0, err
    own = open_bundle(str(tmp_path / "out" / BUNDLE), "cpu")
    assert own.network.trunk.down[1].weight.shape[0] == 16
    assert "fine-tuned" not in own.metadata["data_source"]


def test_plateau_lowers_the_rate_where_nothing_is_gained(small: Path, tmp_path: Path) -> None:
    code, _, err = train(small, tmp_path / "out", "--schedule", "plateau", "--set", "validate#plateau#patience=0",
                         "--set", "validate#plateau#threshold=0.5", "--set", "epoch_length=1")  # fmt: skip
    assert code == 0, err
    events = EventAccumulator(str(tmp_path / "out/tensorboard")).Reload()
    rates = [event.value for event in events.Scalars("train/learning_rate")]
    assert rates == pytest.approx([1e-4, 5e-5])


@pytest.mark.parametrize(("mixed", "fast", "device", "dtype"), [("true", True, "cpu", torch.bfloat16), ("true", False, "cpu", torch.float32),
                                                                 ("false", True, "cpu", torch.float32), ("true", False, "cuda", torch.float16),
                                                                 ("false", False, "cuda", torch.float32)])  # fmt: skip
def test_mixed_precision_is_bfloat16_where_it_is_fast_and_else_float16_of_a_gpu(
    mixed: str, fast: bool, device: str, dtype: torch.dtype, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medgen.inference.inferers.bf16_is_fast", lambda _: fast)
    options = Options(small / BUNDLE, small, tmp_path, device="cpu", settings={"mixed_precision": json.loads(mixed)})
    parser = ConfigParser()
    parser.read_config(str(configure(options, {"train": [{"file": "a"}], "validation": [{"file": "b"}]}, tmp_path / "out", {})))
    parser["device"] = f"$torch.device('{device}')"
    half, inferer = parser.get_parsed_content("half"), parser.get_parsed_content("train#inferer")
    assert half is (dtype == torch.float16) and parser["train#trainer#amp"] == parser["validate#evaluator#amp"] == "@half"
    seen = inferer(torch.ones(1, 1, 4, 4, 4), torch.nn.Conv3d(1, 1, 3)).dtype
    assert seen == (torch.float32 if half else dtype)  # float16 is the trainer's part: amp


def test_weights_that_do_not_fit_are_refused_in_one_line(small: Path, tmp_path: Path) -> None:
    code, _, err = train(small, tmp_path / "out", "--set", "network_def#widths=[8,8,16]")
    assert code == 2 and "--from-scratch" in err and len(err.strip().splitlines()) == 1


def test_a_dry_run_cleans_splits_and_stops(small: Path, tmp_path: Path) -> None:
    data = scans(tmp_path / "data", 2)
    mr_series(data / "series", 0, PatientID="Jane", BodyPartExamined="HEAD")
    (data / "cut.nii.gz").write_bytes((data / "p0_T1.nii.gz").read_bytes()[:500])
    code, out, _ = train(small, tmp_path / "out", "--dry-run", data=data)
    assert code == 1 and "cut.nii.gz" in out  # one could not be read
    split = json.loads((tmp_path / "out/split.json").read_text())
    rows = split["train"] + split["validation"]
    assert {row["subject"] for row in rows} == {"p0", "p1", "patient 1"} or len(rows) == 3
    (series,) = [row["file"] for row in rows if row["source"].endswith("series")]
    assert nib.load(series).shape == (24, 22, 12)
    everything = "".join(path.read_text() for path in (tmp_path / "out").glob("*.json"))
    assert "Jane" not in everything and "Secretname" not in everything
    assert not (tmp_path / "out/state").exists()


def test_help_has_an_example() -> None:
    out = CliRunner().invoke(app, ["train", "--help"]).stdout
    assert "Example: medgen train BUNDLE --data" in " ".join(out.split())


def test_other_options_do_not_go_on_with_a_run(small: Path, tuned: Path) -> None:
    for more in (["--seed", "1"], ["--schedule", "constant"]):
        code, _, err = train(small, tuned, *more)
        assert code == 2 and "another -o" in err


def test_wrong_use_is_told_in_one_line(small: Path, tmp_path: Path) -> None:
    for more, told in ((["--validation", "1.5"], "--validation"), (["--sampler", "best"], "bayesian, random, grid"),
                       (["--search", "2"], "--space"), (["--schedule", "steps"], "cosine"),
                       (["--set", "epoch=3"], "no key 'epoch'"), (["--device", "tpu"], "choose from")):  # fmt: skip
        code, _, err = train(small, tmp_path / "wrong", *more)
        assert code == 2 and told in err and len(err.strip().splitlines()) == 1
    save(tmp_path / "one/p1_T1.nii.gz", ball(0))
    code, _, err = train(small, tmp_path / "alone", data=tmp_path / "one")
    assert code == 2 and "one subject" in err


def test_a_bundle_that_learns_from_pairs_is_refused_by_its_metadata_and_not_by_its_name(small: Path, tmp_path: Path) -> None:
    real = next(root for root in available().values() if read_metadata(root).get("synthetic"))
    for name in ("any_name", real.name):
        root = shutil.copytree(small / BUNDLE, tmp_path / name)
        metadata = read_metadata(root)
        options = Options(root, small / "data", tmp_path / "out" / name)
        assert prepare(options, Console(quiet=True))[1]
        (root / "configs/metadata.json").write_text(json.dumps({**metadata, "synthetic": True}))
        with pytest.raises(BundleError, match=f"{name} makes synthetic scans, and learns from pairs .*train it by monai.bundle run"):
            prepare(options, Console(quiet=True))
    with pytest.raises(BundleError, match="learns from pairs"):
        prepare(Options(real, small, tmp_path), Console(quiet=True))


def test_schedules_are_the_overlays_and_each_makes_a_whole_config(small: Path, tmp_path: Path) -> None:
    assert schedules() == ["constant", "cosine", "onecycle", "plateau"]
    split = {"train": [{"file": "a"}], "validation": [{"file": "b"}]}
    for name in schedules():
        config = json.loads(configure(Options(small / BUNDLE, small, tmp_path, schedule=name), split, tmp_path / name, {}).read_text())
        assert config["scans"] == ["a"] and config["train"]["schedule"]["_target_"].startswith("torch.optim")
    (tmp_path / "bare/configs").mkdir(parents=True)
    (tmp_path / "bare/configs/metadata.json").write_text("{}")
    (tmp_path / "bare/configs/train.json").write_text('{"imports": [], "initialize": [], "load": [{}], "train": {"dataloader": {}, "trainer": {}}}')
    with pytest.raises(BundleError, match="has no 'scans'"):
        configure(Options(tmp_path / "bare", small, tmp_path), split, tmp_path / "x", {})
