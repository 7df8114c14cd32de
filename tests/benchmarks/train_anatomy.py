"""Train the generator of anatomy on DLMUSE maps, and measure it on maps that it has not seen.

    python -m tests.benchmarks.train_anatomy TRAIN_FOLDER DEV_FOLDER -o medgen/anatomy/generator.pt [--components 12]

Each folder holds *_DLMUSE.nii.gz and participants.csv (MRID, Age, Sex). `generator.SHA256` is then the hash that it prints.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from scipy.ndimage import binary_dilation, gaussian_filter, label

from medgen.anatomy import generator as g
from medgen.anatomy import register as r
from medgen.anatomy.classes import NAMES, classes_of
from medgen.anatomy.flow import warp
from medgen.anatomy.frame import to_frame
from medgen.anatomy.sides import millilitres


@dataclass
class Head:
    fine: np.ndarray
    soft: np.ndarray
    about: tuple[float, float, float]  #: age, 1 for male, log ml of the lateral ventricles
    size: np.ndarray


def load(folder: Path) -> list[Head]:
    rows = {row["MRID"]: row for row in csv.DictReader((folder / "participants.csv").open())}
    heads = []
    for path in sorted(folder.glob("*_DLMUSE.nii.gz")):
        row, image = rows[path.name.removesuffix("_DLMUSE.nii.gz")], nib.load(path)
        labels = np.asarray(image.dataobj).astype(np.int16)
        fine = r.into_frame(labels, image.affine, "dlmuse")
        ml = millilitres(np.isin(labels, g.LATERALS), image.affine)
        size = np.log(np.linalg.norm(np.linalg.inv(to_frame(labels, image.affine, "dlmuse"))[:3, :3], axis=0))
        heads.append(Head(fine, r.soft(fine, "dlmuse"), (float(row["Age"]), float(row["Sex"] == "M"), float(np.log(ml))), size))
    return heads


def moved(image: np.ndarray, velocity: np.ndarray, mode: str = "bilinear") -> np.ndarray:
    return warp(torch.from_numpy(image), r.integrate(torch.from_numpy(velocity)), mode).numpy()


def fine_velocity(velocity: np.ndarray) -> np.ndarray:
    return np.stack([g.zoom(v, 2, order=1, mode="nearest", grid_mode=True) for v in velocity * 2]).astype(np.float32)


def template_of(heads: list[Head], velocities: list[np.ndarray]) -> np.ndarray:
    """Return what most heads have at each place once laid on each other, with the heads' mean volume of fluid and grey matter."""
    numbers = np.unique(np.concatenate([np.unique(head.fine) for head in heads]))
    votes = np.zeros((len(numbers), *heads[0].fine.shape), np.float32)
    for head, velocity in zip(heads, velocities):
        laid = moved(head.fine[None].astype(np.float32), -fine_velocity(velocity), "nearest")[0]
        for index, number in enumerate(numbers):
            votes[index] += gaussian_filter((laid == number).astype(np.float32), 0.5)
    classes = classes_of(numbers.astype(np.int16), "dlmuse")
    wanted = np.mean([np.bincount(classes_of(head.fine, "dlmuse").ravel(), minlength=17) for head in heads], 0)
    weight = np.ones(17)
    for _ in range(12):  # a vote starves what is thin: sulci above all
        chosen = (votes * weight[classes].astype(np.float32)[:, None, None, None]).argmax(0)
        have = np.bincount(classes[chosen].ravel(), minlength=17)
        weight *= np.clip(wanted / np.maximum(have, 1), 0.5, 2) ** 0.3 * (wanted > 0) + (wanted == 0)
    result = numbers[chosen].astype(np.int16)
    for number in numbers[(numbers > 1)]:  # one piece each
        pieces, count = label(result == number)
        if count > 1:
            small = (pieces > 0) & (pieces != 1 + np.argmax(np.bincount(pieces.ravel())[1:]))
            others = votes.copy()
            others[numbers == number] = -1
            result[small] = numbers[others[:, small].argmax(0)]
    return result


def fit(heads: list[Head], velocities: list[np.ndarray], template: np.ndarray, count: int) -> g.Generator:
    about, sizes = np.array([head.about for head in heads]), np.array([head.size for head in heads])
    centre, scale = about.mean(0), about.std(0)
    standard = (about - centre) / scale
    inside = binary_dilation(np.mean([head.soft[0] for head in heads], 0) < 0.95, iterations=3)
    data = np.stack([v[:, inside].T.reshape(-1) for v in velocities]).astype(np.float64)
    design = np.c_[np.ones(len(heads)), standard]
    maps = np.linalg.solve(design.T @ design + np.diag([0, 1, 1, 1]), design.T @ data)
    rest = data - design @ maps
    u, s, vt = np.linalg.svd(rest, full_matrices=False)
    power = s**2 / len(heads)
    noise = power[count:].sum() / (data.shape[1] - count)  # probabilistic PCA in closed form
    w = np.sqrt(np.maximum(power[:count] - noise, 0))[:, None] * vt[:count]
    aged = np.c_[np.ones(len(heads)), standard[:, :2]]
    usual, left = np.linalg.lstsq(aged, about[:, 2], rcond=None)[:2]
    by_sex = np.c_[np.ones(len(heads)), about[:, 1]]
    size = np.linalg.lstsq(by_sex, sizes, rcond=None)[0]
    root = np.linalg.cholesky(np.cov((sizes - by_sex @ size).T))
    half = lambda a: torch.from_numpy(a).half()  # noqa: E731
    full = lambda a: torch.from_numpy(np.asarray(a)).float()  # noqa: E731
    return g.Generator(
        torch.from_numpy(template.astype(np.uint8)), torch.from_numpy(inside), half(maps[0]), half(maps[1:]), half(w), float(np.sqrt(noise)),
        full(centre), full(scale), full([*usual, np.sqrt(left[0] / (len(heads) - 3))]), full(size), full(root),
    )  # fmt: skip


def dice(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    a, b = classes_of(one, "dlmuse"), classes_of(other, "dlmuse")
    return np.array([2 * ((a == n) & (b == n)).sum() / ((a == n).sum() + (b == n).sum()) for n in range(1, 10)])


def r2(wanted: np.ndarray, got: np.ndarray) -> float:
    return float(1 - ((got - wanted) ** 2).sum() / ((wanted - wanted.mean()) ** 2).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train", type=Path)
    parser.add_argument("dev", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--components", type=int, default=12)
    parser.add_argument("--cache", type=Path, help="file for the registrations, to try other numbers of components")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    heads, dev = load(chosen.train), load(chosen.dev)
    if chosen.cache and chosen.cache.is_file():
        stored = np.load(chosen.cache)
        velocities, own, template = list(stored["velocities"]), list(stored["own"]), stored["template"]
    else:
        mean = np.mean([head.soft for head in heads], 0)
        for stages in (r.STAGES[:1], r.STAGES):
            velocities = [r.register(head.soft, mean, stages) for head in heads]
            mean = np.mean([moved(head.soft, -v) for head, v in zip(heads, velocities)], 0)
        template = template_of(heads, velocities)
        velocities = [r.register(head.soft, r.soft(template, "dlmuse")) for head in heads]
        own = [r.register(head.soft, r.soft(template, "dlmuse")) for head in dev]
        if chosen.cache:
            np.savez(chosen.cache, velocities=velocities, own=own, template=template)
    model = fit(heads, velocities, template, chosen.components)
    torch.save({name: getattr(model, name) for name in model.__dataclass_fields__}, chosen.output)
    print(f"SHA256 = \"{hashlib.sha256(chosen.output.read_bytes()).hexdigest()}\"  # {chosen.output.stat().st_size / 1e6:.1f} MB")
    rows = {"affine": [], "covariates": [], "z": [], "registered": []}
    for head, v in zip(dev, own):
        c = (torch.tensor(head.about) - model.centre) / model.scale
        zero = torch.zeros(len(model.components))
        for name, shape in (("affine", 0 * v), ("covariates", model.velocity(zero, c)), ("z", model.velocity(model.encode(v, c), c)), ("registered", v)):
            rows[name].append(dice(model.paint(shape), head.fine))
    print("Dice on heads not seen:", *(f"{name}" for name in NAMES[1:10]), sep="\t")
    for name, scores in rows.items():
        print(name, *np.mean(scores, 0).round(3), sep="\t")
    requests = [(age, sex, ml) for age in (55.0, 70.0) for sex in ("female", "male") for ml in (10.0, 18.0, 30.0, 45.0)]
    drawn, met, pieces = [], [], []
    for seed, (age, sex, ml) in enumerate(requests):
        made, affine = g.generate(age, sex, ml, seed=seed, model=model)
        drawn.append(made.report["ventricles_drawn_ml"])
        met.append(made.report["ventricles_obtained_ml"])
        present = np.unique(made.labels)
        pieces.append(sum(label(made.labels == n)[1] for n in present[present > 1]) / (len(present) - 1))
    wanted = np.array([ml for *_, ml in requests])
    print(f"ventricles against request (16 brains): R2 {r2(wanted, np.array(drawn)):.3f} drawn, {r2(wanted, np.array(met)):.5f} met")
    print(f"pieces of a label: {np.mean(pieces):.2f} (template {np.mean([label(template == n)[1] for n in np.unique(template)[2:]]):.2f})")


if __name__ == "__main__":
    main()
