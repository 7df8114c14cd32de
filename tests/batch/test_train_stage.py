from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.transforms import Compose
from typer.testing import CliRunner

from medgen.batch.train import Options
from medgen.batch.train_config import configure
from medgen.batch.train_stage import stages
from medgen.bundles import find, open_bundle
from medgen.cli import app
from medgen.networks.enhancer import Enhancer
from tests.batch.tiny import ARGUMENTS, ball, save, scans

GAN = "mr_enhance_gan"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle whose detail a GAN trains, of a tiny network, and scans of three subjects in data/."""
    folder = tmp_path_factory.mktemp("small")
    root = shutil.copytree(find(GAN), folder / GAN)
    tiny = {"widths": [8, 8, 8], "blocks": [1, 1, 1], "detail": 1}
    torch.manual_seed(0)
    network = Enhancer(3, **tiny)
    torch.nn.init.normal_(network.detail.head.weight, std=0.1)
    torch.save(network.state_dict(), root / "models/model.pt")
    for path in (root / "configs").glob("*.json"):
        config = json.loads(path.read_text())
        if "network_def" in config:
            config["network_def"].update(tiny)
        if "discriminator_def" in config:
            config["discriminator_def"]["discriminator"]["channels"] = 4
        if path.stem == "metadata":
            config["weights_sha256"] = hashlib.sha256((root / "models/model.pt").read_bytes()).hexdigest()
        path.write_text(json.dumps(config))
    scans(folder / "data", 3)
    return folder


def train(small: Path, output: Path, *more: str) -> tuple[int, str, str]:
    arguments = ["train", small / GAN, "--data", small / "data", "-o", output, "--device", "cpu", *ARGUMENTS, *more]
    result = CliRunner().invoke(app, [str(part) for part in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def changed(before: Path, after: Path) -> set[str]:
    old, new = (torch.load(root / "models/model.pt", weights_only=True) for root in (before, after))
    return {key.partition(".")[0] for key in old if not torch.allclose(old[key], new[key], rtol=1e-5)}  # an average rounds


@pytest.fixture(scope="module")
def detail(small: Path) -> tuple[Path, str]:
    """The output folder of an undisturbed training of the detail, and what was printed."""
    code, out, err = train(small, small / "detail", "--stage", "detail")
    assert code == 0, err
    return small / "detail", out


def test_the_stage_of_a_gan_ends_in_its_last_weights_of_that_part_alone(small: Path, detail: tuple[Path, str]) -> None:
    folder, out = detail
    assert changed(small / GAN, folder / GAN) == {"detail"}
    result = json.loads((folder / "result.json").read_text())
    assert [epoch for epoch, _ in result["history"]] == [0, 1, 2] and [result["epoch"], result["value"]] == result["history"][-1]
    assert result["stage"] == "detail" and result["stale"] == []
    assert "last weights" in out and "stale" not in out
    last = torch.load(folder / "state/checkpoint_epoch=2.pt", weights_only=True)
    shipped = torch.load(folder / GAN / "models/model.pt", weights_only=True)
    assert all(torch.equal(shipped[key], last["average"][key]) for key in shipped) and "g_network" not in last["trainer"]
    assert "detail fine-tuned on" in next(iter(open_bundle(str(folder / GAN), "cpu").metadata["changelog"].values()))


def test_a_gan_that_goes_on_from_its_first_epoch_ends_in_the_same_weights(small: Path, detail: tuple[Path, str]) -> None:
    folder = detail[0]
    whole = torch.load(folder / GAN / "models/model.pt", weights_only=True)
    for left in ("state/checkpoint_epoch=2.pt", "result.json", f"{GAN}/models/model.pt"):
        (folder / left).unlink()
    code, out, err = train(small, folder, "--stage", "detail")
    assert code == 0, err
    assert "epoch 2: training" in out
    resumed = torch.load(folder / GAN / "models/model.pt", weights_only=True)
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_a_new_trunk_leaves_the_detail_stale_and_says_what_to_do(small: Path, tmp_path: Path) -> None:
    code, out, err = train(small, tmp_path / "trunk", "--epochs", "1")
    assert code == 0, err
    assert json.loads((tmp_path / "trunk/result.json").read_text())["stale"] == ["detail"]
    told = " ".join(out.split())
    assert f"medgen train {tmp_path / 'trunk' / GAN} --stage detail --data {small / 'data'}" in told


def test_what_a_stage_does_not_take_is_refused_in_one_line(small: Path, tmp_path: Path) -> None:
    for more, told in ((["--set", "stage=detail"], "--stage detail"), (["--stage", "head"], "choose from: detail, trunk"),
                       (["--stage", "detail", "--schedule", "cosine"], "no learning-rate schedule"),
                       (["--stage", "detail", "--from-scratch"], "--from-scratch")):  # fmt: skip
        code, _, err = train(small, tmp_path / "wrong", *more)
        assert code == 2 and told in err and len(err.strip().splitlines()) == 1
    (tmp_path / "space.json").write_text('{"adversarial": [0.1, 1.0]}')
    code, _, err = train(small, tmp_path / "wrong", "--stage", "detail", "--search", "2", "--space", str(tmp_path / "space.json"))
    assert code == 2 and "cannot judge" in err


def test_a_part_without_a_config_of_its_own_is_a_setting(small: Path, tmp_path: Path) -> None:
    vae = Path(find("mr_denoise_vae"))
    assert stages(vae) == ["ladder", "trunk"]
    split = {"train": [{"file": "a"}], "validation": [{"file": "b"}]}
    config = json.loads(configure(Options(vae, small, tmp_path, stage="ladder"), split, tmp_path / "x", {}).read_text())
    assert config["stage"] == "ladder" and config["train"]["trainer"]["_target_"] == "SupervisedTrainer"


def test_thick_and_fine_scans_are_known_by_their_spacing_whatever_their_names(tmp_path: Path) -> None:
    sizes = {"fine": (1.0, 1.0, 1.2), "even_raw": (2.0, 2.0, 2.0), "cs_axial": (0.9, 0.9, 5.0), "sagittal": (4.0, 1.0, 1.0)}
    files = [str(save(tmp_path / f"{name}.nii.gz", ball(0), spacing)) for name, spacing in sizes.items()]
    parser = ConfigParser()
    parser.read_config(str(find(GAN)) + "/configs/train.json")
    parser["scans"], parser["dataset_dir"] = files, str(tmp_path)
    told = {key: parser.get_parsed_content(key) for key in ("even_scans", "fine_scans", "thick_scans")}
    assert told == {"even_scans": files[:2], "fine_scans": files[:1], "thick_scans": files[2:]}
    load, turn = (Compose(parser.get_parsed_content(key)) for key in ("load", "turn"))
    for file, axis in zip(files[2:], (2, 0)):  # the coarse axis comes first, which the training never takes for sharp
        turned = turn(load({"image": file}))["image"]
        assert np.array_equal(np.asarray(turned[0]), np.moveaxis(ball(0), axis, 0))
