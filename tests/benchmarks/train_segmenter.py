"""Train the segmenters of brain MR that medgen ships, on a CPU, from scans with label maps and from label maps alone:

    python -m tests.benchmarks.train_segmenter prepare --data TRAIN --cache DIR
    python -m tests.benchmarks.train_segmenter train --cache DIR --kind t1 --minutes 10
    python -m tests.benchmarks.train_segmenter train --cache DIR --kind any --minutes 45 --start FILE
    python -m tests.benchmarks.train_segmenter ship --cache DIR -o medgen/evaluation/segmenters

`t1` sees real T1 heads alone: the judge of synthetic scans. `any` sees those too, class by class brought to the brightness of
T2 and FLAIR, with lesions, and a few heads painted from label maps with random contrast (SynthSeg: Billot et al., MedIA 2023;
random contrast alone was not learned in 10 minutes), and heads whose ventricles were made 0.3 to 5 times as large. Both see some heads without their
skull, turned, scaled, with bias, noise, blur and another contrast curve. At 2 mm, RAS+; the classes are medgen.anatomy's.
Those shipped: `t1` after 470 steps and 2,340 more (--minutes 32 --start FILE, one core); `any` after 2,209 more (--minutes 46) from the one before it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from monai.losses import DiceCELoss
from monai.networks.nets import UNet
from numpy.random import RandomState
from scipy.ndimage import affine_transform, gaussian_filter, zoom

from medgen.anatomy.classes import classes_of
from medgen.anatomy.flow import warp_by_field
from medgen.anatomy.head import with_head
from medgen.anatomy.ventricles import scale_ventricles
from medgen.transforms.degrade import rician_noise, smooth_field
from medgen.transforms.paint import RandPaintLabelsd
from tests.benchmarks.corrupt import blur, lesions, turn

CLASSES = 17  #: of medgen.anatomy.classes: those that label maps have
NETWORK = {
    "_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": CLASSES, "channels": [16, 32, 64, 96],
    "strides": [2, 2, 2], "num_res_units": 2, "norm": "batch",
}  # fmt: skip
SIDE = 64
#: Brightness of the classes against white matter in the contrasts that `any` has to know.
FAMILIES = {
    "T1": (0, 0.7, 1, 0.35, 0.9, 0.8, 0.75, 1, 0.95, 0.25, 0.2, 0.7, 1.2, 0.75),
    "T2": (0, 1.4, 1, 2.8, 1.15, 1.4, 1.4, 1, 1.05, 2.6, 0.2, 0.7, 1.4, 2.0),
    "FLAIR": (0, 1.3, 1, 0.35, 1.15, 1.4, 1.25, 1, 1.0, 0.4, 0.2, 0.8, 1.4, 1.8),
}
BRAIN = (1, 2, 3, 4, 5, 6, 7, 8, 13, 14, 15, 16)


def canonical(path: Path) -> tuple[np.ndarray, tuple[float, ...]]:
    """Return a volume in RAS+ and its spacing in mm."""
    image = nib.as_closest_canonical(nib.load(path))
    return np.asarray(image.dataobj), tuple(float(s) for s in image.header.get_zooms()[:3])


def prepare(data: Path, cache: Path, paintings: int = 8) -> None:
    """Write `real_*.npz` (image, bright 1, and classes), `scaled_*.npz` (other ventricles) and `painted_*.npz`."""
    cache.mkdir(parents=True, exist_ok=True)
    rng = RandomState(0)
    for path in sorted((data / "brain_t1").glob("*_T1.nii.gz")):
        labels = path.with_name(path.name.replace("_T1", "_DLMUSE"))
        if not labels.exists():
            continue
        image, spacing = canonical(path)
        numbers = canonical(labels)[0].astype(np.int64)
        image = image / np.percentile(image[image > 0], 99.5)
        for name, (scan, own) in {"real": (image, numbers), "scaled": other_ventricles(image, numbers, spacing, rng)}.items():
            classes = with_head(classes_of(own), scan, spacing)
            np.savez(cache / f"{name}_{path.name[:6]}.npz", image=scan.astype(np.float16), classes=classes)
    for path in sorted((data / "labels").glob("*.nii.gz")):
        labels, _ = canonical(path)
        labels = labels[::2, ::2, ::2].astype(np.int64)
        places = np.argwhere(labels > 0)
        part = tuple(slice(max(low - 8, 0), high + 8) for low, high in zip(places.min(0), places.max(0)))
        labels = labels[part]
        for number in range(paintings):
            drawn = labels.copy()
            inside = lesions(np.isin(drawn, (2, 41)), rng.uniform(0.0, 0.08), rng, rng.uniform(0.8, 3.0))
            drawn[inside] = 77
            painter = RandPaintLabelsd("image", labels=1000)
            painter.R = rng
            image = painter({"image": drawn[None].astype(np.float32)})["image"][0].numpy()
            image /= max(float(np.percentile(image[image > 0], 99.5)), 1e-6)
            classes = classes_of(np.where(inside, 901, drawn), "freesurfer")
            np.savez(cache / f"painted_{path.name[23:25]}_{number}.npz", image=image.clip(0, 2).astype(np.float16), classes=classes)
    print(len(list(cache.glob("*.npz"))), "volumes")


def other_ventricles(image: np.ndarray, labels: np.ndarray, spacing: Sequence[float], rng: RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Return a head and its DLMUSE numbers with ventricles of 0.3 to 5 times their volume, or of what it has room for."""
    factor, affine = float(np.exp(rng.uniform(np.log(0.3), np.log(5)))), np.diag([*spacing, 1.0])
    while True:
        try:
            edited = scale_ventricles(labels, affine, "dlmuse", factor)
            break
        except ValueError:
            factor **= 0.7
    assert edited.field is not None
    return warp_by_field(image, edited.field, affine, "linear"), edited.labels


class Crops:
    """Random crops of the cached volumes with random damage."""

    def __init__(self, cache: Path, kind: str, rng: RandomState) -> None:
        self.real, scaled, self.painted = (
            [self._load(path) for path in sorted(cache.glob(f"{name}_*.npz"))] for name in ("real", "scaled", "painted")
        )
        self.real += scaled if kind == "any" else []
        self.kind, self.rng = kind, rng

    @staticmethod
    def _load(path: Path) -> tuple[np.ndarray, np.ndarray]:
        with np.load(path) as held:
            return held["image"], held["classes"]

    def one(self) -> tuple[np.ndarray, np.ndarray]:
        rng = self.rng
        source = self.real if self.kind == "t1" or rng.uniform() < 0.85 else self.painted
        image, classes = source[rng.randint(len(source))]
        if self.kind == "any" and source is self.real:
            image, classes = self._another_contrast(image.astype(np.float32), classes)
        if rng.uniform() < 0.3:  # without its skull
            bare = gaussian_filter((np.isin(classes, BRAIN) | (classes == 9)).astype(np.float32), 1.0) > 0.5
            keep = bare & (classes < 10) if rng.uniform() < 0.5 else np.isin(classes, BRAIN)
            image, classes = image * keep, np.where(keep, classes, 0)
        matrix = np.diag(np.exp(rng.uniform(-0.15, 0.15, 3))) @ turn(rng.uniform(-12, 12, 3))
        if rng.uniform() < 0.5:
            matrix[:, 0] *= -1
        middle = np.array([rng.uniform(0.25, 0.75) * n for n in image.shape])
        offset = middle - matrix @ np.full(3, (SIDE - 1) / 2)
        x = affine_transform(image.astype(np.float32), matrix, offset, (SIDE,) * 3, order=1)
        y = affine_transform(classes, matrix, offset, (SIDE,) * 3, order=0)
        if rng.uniform() < 0.5:
            x = x * smooth_field(x.shape, 0.6, 1.5, rng)
        if rng.uniform() < 0.2:
            x = blur(x, rng.uniform(0, 0.7))
        if rng.uniform() < 0.15:  # thick slices
            factor = rng.uniform(1, 2.5)
            axis = rng.randint(3)
            x = zoom(zoom(blur(x, 0), [1 / factor if a == axis else 1 for a in range(3)], order=1),
                     [SIDE / max(round(SIDE / factor), 1) if a == axis else 1 for a in range(3)], order=1)[:SIDE, :SIDE, :SIDE]  # fmt: skip
        x = x.clip(0) ** np.exp(rng.uniform(-0.35, 0.35))
        if rng.uniform() < 0.5:
            x = rician_noise(x, rng.uniform(0, 0.08), rng)
        return (x * rng.uniform(0.8, 1.2)).astype(np.float32), y

    def _another_contrast(self, image: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return a T1 head with the brightness of each class moved to that of a contrast, texture and edges kept, and lesions."""
        rng = self.rng
        counts = np.bincount(classes.ravel(), minlength=14)
        means = np.bincount(classes.ravel(), image.ravel(), minlength=14)[:14] / np.maximum(counts[:14], 1)
        means[13] = means[2]
        family = list(FAMILIES)[rng.randint(3)]
        wanted = np.array(FAMILIES[family]) * means[2] * np.exp(0.12 * rng.standard_normal(14))
        if rng.uniform() < 0.5:
            inside = lesions((classes == 2) | ((classes == 1) & (rng.uniform() < 0.3)), rng.uniform(0.005, 0.1), rng, rng.uniform(0.8, 3.5))
            classes = np.where(inside, np.uint8(13), classes)
        elif family == "T1":
            return image, classes
        shift = gaussian_filter((wanted - means)[classes].astype(np.float32), 0.6)
        gain = -0.7 if family != "T1" and rng.uniform() < 0.5 else 0.7
        texture = gain * (image - gaussian_filter(means[classes].astype(np.float32), 0.6))
        return (gaussian_filter(means[classes].astype(np.float32), 0.6) + shift + texture).clip(0) / (1.5 * max(wanted[2], 0.3)), classes

    def batch(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        images, classes = zip(*(self.one() for _ in range(size)))
        return torch.from_numpy(np.stack(images))[:, None], torch.from_numpy(np.stack(classes).astype(np.int64))[:, None]


def train(cache: Path, kind: str, minutes: float, size: int = 2, rate: float = 3e-3, steps: int | None = None, until: float = 1,
          start: Path | None = None) -> None:  # fmt: skip
    """Train for so many steps, else minutes of the clock; goes on where it was stopped, and stops at a share `until` of its way.

    Starts from the weights of `start`; without it, `any` starts from `t1` where that is there.
    """
    torch.manual_seed(0)
    network: Any = UNet(**{k: v for k, v in NETWORK.items() if k != "_target_"}).to(memory_format=torch.channels_last_3d)  # type: ignore[arg-type]
    optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=1e-4)
    loss_of = DiceCELoss(to_onehot_y=True, softmax=True, include_background=True, batch=True)
    average = {name: value.clone() for name, value in network.state_dict().items()}
    path, done, step = cache / f"state_{kind}.pt", 0.0, 0
    if path.exists():
        held = torch.load(path, weights_only=True)
        network.load_state_dict(held["network"])
        optimizer.load_state_dict(held["optimizer"])
        average, done, step = held["average"], held["done"], held["step"]
    elif start:
        average = {name: value.float() if value.is_floating_point() else value for name, value in torch.load(start, weights_only=True).items()}
        network.load_state_dict(average)
    elif kind == "any" and (first := cache / "state_t1.pt").exists():
        average = torch.load(first, weights_only=True)["average"]
        network.load_state_dict(average)
    crops = Crops(cache, kind, RandomState(step))
    started, saved, losses = time.monotonic() - done, time.monotonic(), []
    while (progress := step / steps if steps else (time.monotonic() - started) / 60 / minutes) < until:
        now = time.monotonic() - started
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 50) * (1 - progress) ** 0.9
        x, y = crops.batch(size)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(x.contiguous(memory_format=torch.channels_last_3d))
        loss = loss_of(logits.float(), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        step += 1
        keep = min(0.99, step / (step + 10))
        with torch.no_grad():
            for name, value in network.state_dict().items():
                average[name] = value.clone() if not value.is_floating_point() else average[name].lerp(value, 1 - keep)
        losses.append(float(loss.detach()))
        if step % 20 == 0:
            with (cache / f"log_{kind}.jsonl").open("a") as log:
                log.write(json.dumps({"step": step, "minutes": now / 60, "loss": float(np.mean(losses[-20:]))}) + "\n")
        if time.monotonic() - saved > 60:
            saved = time.monotonic()
            _save(path, network, optimizer, average, now, step)
    _save(path, network, optimizer, average, time.monotonic() - started, step)


def _save(path: Path, network: Any, optimizer: Any, average: dict[str, torch.Tensor], done: float, step: int) -> None:
    partial = path.with_suffix(".part")
    torch.save({"network": network.state_dict(), "optimizer": optimizer.state_dict(), "average": average, "done": done, "step": step}, partial)
    partial.rename(path)


def ship(cache: Path, output: Path, kinds: Sequence[str] = ("t1", "any")) -> None:
    """Write the averaged weights in half precision, and the JSON that makes each network."""
    output.mkdir(parents=True, exist_ok=True)
    for kind in kinds:
        held = torch.load(cache / f"state_{kind}.pt", weights_only=True)
        weights = {name: value.half() if value.is_floating_point() else value for name, value in held["average"].items()}
        torch.save(weights, output / f"brain-{kind}.pt")
        sha256 = hashlib.sha256((output / f"brain-{kind}.pt").read_bytes()).hexdigest()
        told = {"weights": f"brain-{kind}.pt", "sha256": sha256, "network": NETWORK, "spacing": 2.0}
        (output / f"brain-{kind}.json").write_text(json.dumps(told, indent=2) + "\n")
        print(kind, "step", held["step"], f"{held['done'] / 60:.1f} minutes", sha256)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("prepare", "train", "ship"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--kind", choices=("t1", "any"), default="t1")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--start", type=Path, help="weights to start from, such as those shipped")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    if options.step == "prepare":
        prepare(options.data, options.cache)
    elif options.step == "train":
        train(options.cache, options.kind, options.minutes, start=options.start)
    else:
        ship(options.cache, options.output)


if __name__ == "__main__":
    main()
