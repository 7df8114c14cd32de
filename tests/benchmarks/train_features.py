"""Train the extractor that `medgen distributions` ships, on a CPU, from scans and label maps:

    python -m tests.benchmarks.train_features prepare --data TRAIN --cache DIR --count 338
    python -m tests.benchmarks.train_features train --cache DIR --dimensions 2 --minutes 60 --batch 32
    python -m tests.benchmarks.train_features ship --cache DIR -o medgen/evaluation/extractors

`prepare` fills DIR with volumes at 2 mm: real T1 heads with their labels, heads painted from label maps with random contrast,
multi-contrast MR and CT; damaged at a random level, which is kept beside them. `train` goes on where it was stopped.
Tasks, all read from the features by one linear layer each: the levels of noise, blur, motion, bias, lesions and label
shuffling, contrast and level in the body, plane or place, age and sex of the T1 heads; and from the maps a coarse
segmentation (cortex, white matter, ventricles, deep grey matter, cerebellum, brainstem, lesion). The features' variances
are held up and their covariances down (VICReg, Bardes et al. 2022), so that none is a copy of another; `ship` whitens what is left.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import RandomState
from torch import Tensor, nn
from torch.nn import functional as F

from medgen.evaluation.sampling import Sampling
from medgen.networks.feature_net import FeatureNet
from medgen.transforms.degrade import rician_noise
from tests.benchmarks.feature_volumes import DAMAGE, SIDE, prepare

CONTRASTS = ("T1", "T1POST", "T2", "FLAIR", "CT", "painted")
LEVELS = 3  #: of the place along the last axis
WIDTHS = {2: (24, 48, 64, 96), 3: (16, 32, 48, 64)}
FEATURES = {2: 64, 3: 32}


class Batches:
    """Random slices (2) or crops (3) of the cached volumes, with noise, and what is to be told of each."""

    def __init__(self, cache: Path, dimensions: int, rng: RandomState) -> None:
        self.paths = sorted(path for path in cache.glob("[0-9]*.npz") if ".part" not in path.name)
        self.dimensions, self.rng = dimensions, rng
        self.side = 112 if dimensions == 2 else 64
        self.kept: dict[Path, tuple[Any, ...]] = {}

    def volume(self) -> tuple[Any, ...]:
        path = self.paths[self.rng.randint(len(self.paths))]
        if path not in self.kept:
            with np.load(path) as held:
                self.kept[path] = (held["image"], held["classes"], held["low"], held["high"], json.loads(str(held["known"])))
        return self.kept[path]

    def one(self) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        image, classes, low, high, known = self.volume()
        starts = [int(self.rng.randint(SIDE - self.side + 1)) for _ in range(3)]
        if self.dimensions == 2:
            axis = int(self.rng.randint(3))
            place = self.rng.uniform(0.1, 0.9)
            part: list[Any] = [slice(s, s + self.side) for s in starts]
            part[axis] = int(low[axis] + place * (high[axis] - low[axis]))
            told = {"plane": axis, "place": [place]}
        else:
            starts = [int(self.rng.choice([0, 8, SIDE - self.side - 8, SIDE - self.side])) for _ in range(3)]
            part = [slice(s, s + self.side) for s in starts]
            told = {"plane": -1, "place": [(s + self.side / 2 - l) / (h - l) for s, l, h in zip(starts, low, high)]}
        x, labels = image[tuple(part)].astype(np.float32), classes[tuple(part)]
        noise = self.rng.uniform() if self.rng.uniform() < 0.5 else 0.0
        if noise > 0:
            x = rician_noise(x, 0.2 * noise**2, self.rng)
        brain = np.count_nonzero((labels > 0) & (labels < 8))
        lesions = known["lesions"] if known["lesions"] != 0 else 0.0
        if brain and not np.isnan(known["lesions"]):
            lesions = min(1.0, np.sqrt(np.count_nonzero(labels == 7) / brain / 0.05))
        damage = [noise, known["blur"], known["motion"], known["bias"], lesions, known["shuffle"]]
        level = min(LEVELS - 1, max(0, int(LEVELS * told["place"][-1])))
        contrast = CONTRASTS.index(known["contrast"]) * LEVELS + level if known["contrast"] in CONTRASTS else -100
        return x, labels, {**told, "damage": damage, "class": contrast, "age": known["age"], "sex": known["sex"]}

    def batch(self, size: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        images, labels, told = zip(*(self.one() for _ in range(size)))
        nan = float("nan")
        targets = {
            "damage": torch.tensor([t["damage"] for t in told], dtype=torch.float32),
            "place": torch.tensor([t["place"] for t in told], dtype=torch.float32),
            "person": torch.tensor([[nan if t[k] is None else float(t[k]) for k in ("age", "sex")] for t in told]),
            "class": torch.tensor([t["class"] for t in told]),
            "plane": torch.tensor([t["plane"] for t in told]),
        }
        layout = torch.channels_last if self.dimensions == 2 else torch.channels_last_3d
        x = torch.from_numpy(np.stack(images).astype(np.float32))[:, None].contiguous(memory_format=layout)
        return x, torch.from_numpy(np.stack(labels)), targets


class Heads(nn.Module):
    """What is read from the features and the maps, in training only."""

    def __init__(self, dimensions: int, features: int) -> None:
        super().__init__()
        conv = nn.Conv2d if dimensions == 2 else nn.Conv3d
        self.dimensions = dimensions
        self.damage, self.place, self.person = (nn.Linear(features, n) for n in (len(DAMAGE), 1 if dimensions == 2 else 3, 2))
        self.plane = nn.Linear(features, 3)
        self.segment = nn.ModuleList(conv(width, 8, 1) for width in WIDTHS[dimensions][1:])

    def losses(self, net: FeatureNet, x: Tensor, labels: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        maps = net.stages(x)
        features = net.join(maps)
        centred = features - features.mean(0)
        covariance = centred.T @ centred / (len(x) - 1)
        off = covariance - torch.diag(torch.diag(covariance))
        losses = {
            "damage": 8 * _where(F.smooth_l1_loss, self.damage(features), targets["damage"], beta=0.2),
            "place": 2 * _where(F.smooth_l1_loss, self.place(features), targets["place"], beta=0.2),
            "person": 0.2 * _where(F.smooth_l1_loss, self.person(features), targets["person"]),
            "class": 0.5 * F.cross_entropy(net.classify(features), targets["class"], ignore_index=-100),
            "variance": F.relu(1 - torch.sqrt(torch.diag(covariance) + 1e-4)).mean(),
            "covariance": 0.02 * off.square().sum() / len(off),
        }
        if self.dimensions == 2:
            losses["plane"] = 0.3 * F.cross_entropy(self.plane(features), targets["plane"])
        size = maps[1].shape[2:]
        logits = sum(F.interpolate(head(m), size=size) for head, m in zip(self.segment, maps[1:]))
        wanted = labels[(slice(None), *(slice(2, None, 4),) * self.dimensions)].long()  # every fourth voxel: the maps are at 1/4
        if bool((wanted < 8).any()):
            losses["segment"] = F.cross_entropy(logits, wanted.masked_fill(wanted > 7, -100), ignore_index=-100)
        return losses


def _where(loss: Any, found: Tensor, wanted: Tensor, **options: float) -> Tensor:
    """Return the loss over what is known (not NaN)."""
    known = ~torch.isnan(wanted)
    return loss(found[known], wanted[known], **options) if bool(known.any()) else found.sum() * 0


def train(cache: Path, dimensions: int, minutes: float, size: int, rate: float = 2e-3) -> None:
    """Train for so many minutes of the clock, those before an interruption included."""
    torch.manual_seed(0)
    net = FeatureNet(dimensions, WIDTHS[dimensions], FEATURES[dimensions], len(CONTRASTS) * LEVELS)
    heads = Heads(dimensions, FEATURES[dimensions])
    both = nn.ModuleList([net, heads]).to(memory_format=torch.channels_last if dimensions == 2 else torch.channels_last_3d)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(both.parameters(), rate, weight_decay=1e-2)
    average = {name: value.clone() for name, value in net.state_dict().items()}
    path, done, step = cache / f"state_{dimensions}.pt", 0.0, 0
    if path.exists():
        held = torch.load(path, weights_only=True)
        both.load_state_dict(held["both"])
        optimizer.load_state_dict(held["optimizer"])
        average, done, step = held["average"], held["done"], held["step"]
    batches = Batches(cache, dimensions, RandomState(step))
    started, saved, sums, cpu = time.monotonic() - done, time.monotonic(), {}, time.process_time()
    while (now := time.monotonic() - started) < 60 * minutes:
        progress = now / 60 / minutes
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 50) * (0.5 * (1 + math.cos(math.pi * progress)) * 0.98 + 0.02)
        losses = heads.losses(net, *batches.batch(size))
        optimizer.zero_grad(set_to_none=True)
        sum(losses.values()).backward()  # type: ignore[union-attr]
        nn.utils.clip_grad_norm_(both.parameters(), 5.0)
        optimizer.step()
        step += 1
        keep = min(0.995, step / (step + 10))
        with torch.no_grad():
            for name, value in net.state_dict().items():
                average[name].lerp_(value, 1 - keep)
        for name, value in losses.items():
            sums.setdefault(name, []).append(float(value.detach()))
        if step % 20 == 0:
            line = {"step": step, "minutes": now / 60, "cpu": time.process_time() - cpu, **{k: float(np.mean(v)) for k, v in sums.items()}}
            sums = {}
            with (cache / f"log_{dimensions}.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
        if time.monotonic() - saved > 60:
            saved = time.monotonic()
            _save(path, both, optimizer, average, now, step)
    _save(path, both, optimizer, average, 60 * minutes, step)


def _save(path: Path, both: nn.Module, optimizer: torch.optim.Optimizer, average: dict[str, Tensor], done: float, step: int) -> None:
    partial = path.with_suffix(".part")
    torch.save({"both": both.state_dict(), "optimizer": optimizer.state_dict(), "average": average, "done": done, "step": step}, partial)
    partial.rename(path)


@torch.inference_mode()
def whiten(state: dict[str, Tensor], batches: Batches, dimensions: int, images: int = 1500, floor: float = 1e-3) -> dict[str, Tensor]:
    """Return the weights with the last layer changed so that features have mean 0 and covariance 1 over damaged training
    images, all of them: no few directions rule the distances. Directions of less than `floor` of the largest variance are
    not blown up further."""
    net = FeatureNet(dimensions, WIDTHS[dimensions], FEATURES[dimensions], len(CONTRASTS) * LEVELS)
    net.load_state_dict(state)
    seen = torch.cat([net(batches.batch(50 if dimensions == 2 else 10)[0]) for _ in range(images // (50 if dimensions == 2 else 10))]).double()
    mean = seen.mean(0)
    values, axes = torch.linalg.eigh(torch.cov(seen.T))
    scale = values.clamp(min=floor * float(values.max())).rsqrt()
    matrix, back = (axes * scale) @ axes.T, (axes / scale) @ axes.T
    changed = {name: value.double() for name, value in state.items()}
    changed["classifier.bias"] = changed["classifier.bias"] + changed["classifier.weight"] @ mean
    changed["classifier.weight"] = changed["classifier.weight"] @ back
    changed["embed.weight"] = matrix @ changed["embed.weight"]
    changed["embed.bias"] = matrix @ (changed["embed.bias"] - mean)
    return {name: value.float() for name, value in changed.items()}


def ship(cache: Path, output: Path) -> None:
    """Write the averaged weights of both networks in half precision, and the JSON that makes them."""
    held, networks = {}, {}
    for view, dimensions in (("planes", 2), ("volume", 3)):
        state = torch.load(cache / f"state_{dimensions}.pt", weights_only=True)
        whitened = whiten(state["average"], Batches(cache, dimensions, RandomState(1)), dimensions)
        held[view] = {name: value.half().contiguous() for name, value in whitened.items()}
        networks[view] = {
            "_target_": "medgen.networks.feature_net.FeatureNet", "dimensions": dimensions, "widths": WIDTHS[dimensions],
            "features": FEATURES[dimensions], "classes": len(CONTRASTS) * LEVELS,
        }  # fmt: skip
        print(f"{view}: step {state['step']}, {state['done'] / 60:.1f} minutes")
    torch.save(held, output / "medgen-v1.pt")
    sha256 = hashlib.sha256((output / "medgen-v1.pt").read_bytes()).hexdigest()
    told = {"score": "FD-medgen-v1", "weights": "medgen-v1.pt", "sha256": sha256, "networks": networks, "sampling": Sampling().told()}
    (output / "medgen-v1.json").write_text(json.dumps(told, indent=2) + "\n")
    print(sha256)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("prepare", "train", "ship"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--count", type=int, default=800)
    parser.add_argument("--dimensions", type=int, choices=(2, 3), default=2)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    if options.step == "prepare":
        prepare(options.data, options.cache, options.count)
    elif options.step == "train":
        train(options.cache, options.dimensions, options.minutes, options.batch)
    else:
        ship(options.cache, options.output)


if __name__ == "__main__":
    main()
