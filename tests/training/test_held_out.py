from __future__ import annotations

import json
from pathlib import Path

import torch

from medgen.training.held_out import HeldOut


def config(path: Path) -> str:
    """Write a recipe that takes each "scan", a number, twice, and adds noise; its loss is the squared error."""
    noise = {"_target_": "RandGaussianNoised", "keys": "image", "prob": 1.0}
    data = {"_target_": "Dataset", "data": "$[{'image': torch.full((1, 2), f)} for f in @scans for _ in range(2)]",
            "transform": {"_target_": "Compose", "transforms": [noise]}}  # fmt: skip
    path.write_text(json.dumps({"scans": [-1.0], "train": {"dataset": data, "loss": {"_target_": "torch.nn.MSELoss"}}}))
    return str(path)


def test_samples_are_of_the_held_out_scans_and_stay_the_same(tmp_path: Path) -> None:
    judge, again, other = (HeldOut(config(tmp_path / "c.json"), [100.0, 200.0], 6, seed) for seed in (0, 0, 1))
    images = [torch.stack([sample["image"] for sample in one.samples]) for one in (judge, again, other)]
    assert len(images[0]) == 6 and torch.equal(images[0], images[1]) and not torch.equal(images[0], images[2])
    assert sorted({round(float(v), -2) for v in images[0].mean((1, 2))}) == [100.0, 200.0]
    assert torch.equal(judge.samples[3]["image"], judge.samples[3]["image"])
    assert not judge.loss.training


def test_many_scans_are_all_among_the_samples(tmp_path: Path) -> None:
    scans = [100.0 * n for n in range(1, 8)]
    judge = HeldOut(config(tmp_path / "c.json"), scans, 3)
    assert {round(float(sample["image"].mean()), -2) for sample in judge.samples} == set(scans)
