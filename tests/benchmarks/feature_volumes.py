"""Volumes to train feature extractors with: real scans, and heads painted from label maps, with damage of known levels."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.random import RandomState
from scipy.ndimage import affine_transform, gaussian_filter

from medgen.evaluation.sampling import Sampling, cube, extent
from medgen.scans import ScanError, find, read
from medgen.transforms.degrade import smooth_field
from medgen.transforms.paint import RandPaintLabelsd
from tests.benchmarks.corrupt import blur, lesions, motion, shuffle, turn

SIDE = 120  #: voxels of the cached cubes: room to shift the window of 112
DAMAGE = ("noise", "blur", "motion", "bias", "lesions", "shuffle")  #: in the order of what is told of a volume, but noise, which is added later
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
    matrix = turn(rng.uniform(-10, 10, 3))
    matrix *= np.exp(rng.uniform(-0.08, 0.08))
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
