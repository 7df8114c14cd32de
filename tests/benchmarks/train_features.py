"""Train the extractor that `medgen distributions` ships, on a CPU, from scans and label maps:

    python -m tests.benchmarks.train_features prepare --data TRAIN --cache DIR --count 800
    python -m tests.benchmarks.train_features train --cache DIR --dimensions 2 --minutes 20
    python -m tests.benchmarks.train_features ship --cache DIR -o medgen/evaluation/extractors

`prepare` fills DIR with volumes at 2 mm: real T1 heads with their labels, heads painted from label maps with random contrast,
multi-contrast MR and CT; damaged at a random level, which is kept beside them. `train` goes on where it was stopped.
Tasks, all read from the features by one linear layer each: the levels of noise, blur, motion, bias, lesions and label
shuffling, contrast and level in the body, plane or place, age and sex of the T1 heads; and from the maps a coarse
segmentation (cortex, white matter, ventricles, deep grey matter, cerebellum, brainstem, lesion). The features' variances
are held up and their covariances down (VICReg, Bardes et al. 2022), so that none is a copy of another.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import math
import time
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from numpy.random import RandomState
from scipy.ndimage import affine_transform, gaussian_filter
from torch import Tensor, nn
from torch.nn import functional as F

from medgen.evaluation.sampling import Sampling, cube, extent
from medgen.networks.feature_net import FeatureNet
from medgen.scans import ScanError, find, read
from medgen.transforms.degrade import rician_noise, smooth_field
from medgen.transforms.paint import RandPaintLabelsd
from tests.benchmarks.corrupt import blur, lesions, motion, shuffle

SIDE = 120  #: voxels of the cached cubes: room to shift the window of 112
CONTRASTS = ("T1", "T1POST", "T2", "FLAIR", "CT", "painted")
LEVELS = 3
DAMAGE = ("noise", "blur", "motion", "bias", "lesions", "shuffle")
WIDTHS = {2: (24, 48, 64, 96), 3: (16, 32, 48, 64)}
FEATURES = {2: 64, 3: 32}
MUSE = {1: range(100, 208), 2: (40, 41, *range(81, 96)), 3: (4, 11, 49, 50, 51, 52), 5: (38, 39, 71, 72, 73), 6: (35,),
        4: (23, 30, 31, 32, 36, 37, 47, 48, 55, 56, 57, 58, 59, 60, 61, 62, 75, 76)}  # fmt: skip
FREESURFER = {1: (3, 42), 2: (2, 41, 77), 3: (4, 5, 14, 15, 43, 44), 5: (7, 8, 46, 47), 6: (16,),
              4: (10, 11, 12, 13, 17, 18, 26, 28, 49, 50, 51, 52, 53, 54, 58, 60)}  # fmt: skip


def coarse(labels: np.ndarray, table: dict[int, Any]) -> np.ndarray:
    """Return labels as 0 (none) to 6 of `table`."""
    lookup = np.zeros(int(labels.max()) + 1, np.uint8)
    for name, members in table.items():
        lookup[[m for m in members if m < len(lookup)]] = name
    return lookup[labels]


def sources(data: Path) -> list[dict[str, Any]]:
    """Return what volumes are drawn from: images (with labels) and label maps, on grids of 2 mm."""
    how = Sampling(side=SIDE)
    people = {row["MRID"]: row for row in csv.DictReader((data / "brain_t1/participants.csv").open())}
    found: list[dict[str, Any]] = []
    for case in find([data / name for name in ("brain_t1", "brain_multicontrast", "ct", "dicom", "labels")])[0]:
        if any(mark in case.name for mark in ("DLMUSE", "lesion", "ct_seg", "headsq")):  # the last is not in HU, though it says so
            continue
        try:
            scan = read(case, permissive=True)
        except ScanError as error:
            print(f"left out: {error}")
            continue
        image, affine = np.asarray(scan.image[0]), scan.image.affine.numpy()
        if "labels" in str(case.files[0]):
            steps = tuple(slice(None, None, max(1, round(2 / s))) for s in scan.spacing)
            labels = image[steps].astype(np.int64)
            body = cube_of((labels > 0).astype(np.float32), affine @ np.diag([s.step for s in steps] + [1]), how, labels)
            found.append({"labels": body, "coarse": coarse(body, FREESURFER), "contrast": "painted", "weight": 0.35 / 12})
            continue
        is_ct = scan.units == "HU" or "ct" in case.name.lower().split("_") or case.files[0].parent.name == "ct"
        entry: dict[str, Any] = {"image": cube(image, affine, is_ct, how).astype(np.float16)}
        if "IXI" in case.name:
            map_ = read(next(case.files[0].parent.glob(case.name.replace("_T1", "_DLMUSE") + "*")))
            labels = np.asarray(map_.image[0]).astype(np.int64)
            entry["labels"] = cube_of(image, affine, how, labels)
            entry["coarse"] = coarse(entry["labels"], MUSE)
            person = people[case.name.replace("_T1", "")]
            entry |= {"contrast": "T1", "weight": 0.42 / 27, "age": (float(person["Age"]) - 61) / 6, "sex": person["Sex"] == "M"}
        elif is_ct:
            entry |= {"contrast": "CT", "weight": 0.08 / 4}
        elif "prostate" in case.name:
            entry |= {"contrast": "T2" if "t2" in case.name else "", "weight": 0.02 / 2}
        else:
            contrast = next(c for c in ("T1POST", "FLAIR", "T2", "T1") if f"_{c}" in case.name)
            entry |= {"contrast": contrast, "weight": 0.13 / 12}
        found.append(entry)
    return found


def cube_of(image: np.ndarray, affine: np.ndarray, how: Sampling, labels: np.ndarray) -> np.ndarray:
    """Return the labels in the cube that `cube` cuts out of the image, which is at 2 mm already."""
    turn = nib.orientations.io_orientation(affine)
    grid, mask = (nib.orientations.apply_orientation(a, turn) for a in (image.astype(np.float32), labels))
    scaled = (grid / max(float(np.percentile(grid[grid > 0], how.percentile)), 1e-12)).clip(0, 2)
    out = np.zeros((how.side,) * 3, np.int64)
    starts = [round((low + high) / 2) - how.side // 2 for low, high in extent(scaled)]
    source = tuple(slice(max(s, 0), min(s + how.side, n)) for s, n in zip(starts, mask.shape))
    out[tuple(slice(p.start - s, p.stop - s) for p, s in zip(source, starts))] = mask[source]
    return out


def draw(source: dict[str, Any], rng: RandomState) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Return a volume of a source with damage of random levels (but noise), its coarse labels, and what is known of it."""
    known: dict[str, Any] = {name: source.get(name) for name in ("contrast", "age", "sex")}
    labels = source.get("labels")
    classes = source["coarse"] if labels is not None else np.full((SIDE,) * 3, 255, np.uint8)
    if source["contrast"] == "painted":
        painter = RandPaintLabelsd("image", labels=int(labels.max()) + 1)
        painter.R = rng
        image = painter({"image": labels[None].astype(np.float32)})["image"][0].numpy()
        image /= max(float(np.percentile(image[image > 0], 99.5)), 1e-6)
    else:
        image = source["image"].astype(np.float32)
    levels = dict.fromkeys(DAMAGE[1:], 0.0)
    levels["lesions"] = levels["shuffle"] = 0.0 if labels is not None else float("nan")
    if labels is not None and rng.uniform() < 0.3 and source["contrast"] != "painted":
        levels["shuffle"] = rng.uniform(0, 1)
        image = shuffle(image, labels, levels["shuffle"], rng)
    if labels is not None and rng.uniform() < 0.5:
        inside = lesions(classes == 2, rng.uniform(0.005, 0.1), rng, rng.uniform(0.8, 2.0))
        change = rng.uniform(0.2, 0.6) * (-1 if source["contrast"] == "T1" or rng.uniform() < 0.5 else 1)
        image = image * (1 + change * gaussian_filter(inside.astype(np.float32), 0.5))
        classes = np.where(inside, np.uint8(7), classes)
    if rng.uniform() < 0.5:  # position, size, side
        image, classes = moved(image, classes, rng)
    if rng.uniform() < 0.3:
        levels["bias"] = rng.uniform(0, 1)
        image = image * smooth_field(image.shape, 1 - 0.5 * levels["bias"], 1 + 0.5 * levels["bias"], rng)
    if rng.uniform() < 0.5:
        levels["blur"] = rng.uniform(0, 1)
        image = blur(image, 2 * levels["blur"])
    if rng.uniform() < 0.35:
        levels["motion"] = rng.uniform(0, 1)
        image = motion(image, 3 * levels["motion"], rng)
    image = image ** np.exp(rng.uniform(-0.2, 0.2))
    return image.clip(0, 2).astype(np.float16), classes, {**known, **levels}


def moved(image: np.ndarray, classes: np.ndarray, rng: RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Turn by up to 10 degrees, scale by up to 8 %, mirror left and right at random."""
    angles = np.deg2rad(rng.uniform(-10, 10, 3))
    matrix = np.eye(3) * np.exp(rng.uniform(-0.08, 0.08))
    for axis, angle in enumerate(angles):
        a, b = (i for i in range(3) if i != axis)
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    if rng.uniform() < 0.5:
        matrix[:, 0] *= -1
    middle = np.full(3, (SIDE - 1) / 2)
    offset = middle - matrix @ middle
    return affine_transform(image, matrix, offset, order=1), affine_transform(classes, matrix, offset, order=0)


def prepare(data: Path, cache: Path, count: int) -> None:
    """Write volumes `0000.npz` ... that are not there yet."""
    cache.mkdir(parents=True, exist_ok=True)
    drawn_from = sources(data)
    weights = np.array([source["weight"] for source in drawn_from])
    print(len(drawn_from), "sources", flush=True)
    for number in range(count):
        path = cache / f"{number:04d}.npz"
        if path.exists():
            continue
        rng = RandomState(number)
        image, classes, known = draw(drawn_from[rng.choice(len(weights), p=weights / weights.sum())], rng)
        low, high = np.array(extent(image.astype(np.float32))).T
        partial = path.with_suffix(".part.npz")
        np.savez(partial, image=image, classes=classes, low=low, high=high, known=json.dumps(known, default=float))
        partial.rename(path)


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


def ship(cache: Path, output: Path) -> None:
    """Write the averaged weights of both networks in half precision, and the JSON that makes them."""
    held, networks = {}, {}
    for view, dimensions in (("planes", 2), ("volume", 3)):
        state = torch.load(cache / f"state_{dimensions}.pt", weights_only=True)
        held[view] = {name: value.half().contiguous() for name, value in state["average"].items()}
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
    parser.add_argument("--batch", type=int, default=48)
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
