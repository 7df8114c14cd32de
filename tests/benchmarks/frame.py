"""Make medgen/anatomy/frame.npz of DLMUSE maps, and tell how well its lobes fit maps that it was not made of.

    python -m tests.benchmarks.frame TRAIN_FOLDER DEV_FOLDER [-o medgen/anatomy/frame.npz]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.ndimage import distance_transform_edt, map_coordinates

from medgen.anatomy import frame as frames
from medgen.anatomy import places
from medgen.anatomy.sides import world

MM, LOW, HIGH = 3.0, np.array([-81.0, -117.0, -90.0]), np.array([81.0, 102.0, 96.0])
#: The other side of each landmark: pairs, three single ones, the halves.
MIRROR = np.array([*(i ^ 1 for i in range(18)), 18, 19, 20, 22, 21])


def load(path: Path) -> tuple[np.ndarray, np.ndarray]:
    image = nib.load(path)
    return np.asarray(image.dataobj).astype(np.int16), image.affine


def mean_landmarks(points: np.ndarray) -> np.ndarray:
    """Return the mean of landmarks (n, 23, 3), each fitted to it, mirrored, of the heads' mean size, centred, left at -x."""
    centred = points - points.mean(1, keepdims=True)
    mean = centred[0]
    for _ in range(10):
        fitted = np.stack([np.c_[p, np.ones(len(p))] @ frames.fit(p, mean)[:3].T for p in centred])
        mean = fitted.mean(0)
        u, _, vt = np.linalg.svd(mean.T @ (mean[MIRROR] * [-1, 1, 1]))  # turn it so that its mirror lies on it
        turn = vt.T @ u.T
        half = np.real(_root(turn))
        mean = mean @ half.T
        mean = (mean + mean[MIRROR] * [-1, 1, 1]) / 2
        mean *= np.sqrt((centred**2).sum() / len(centred) / (mean**2).sum())
    return mean - mean.mean(0)


def _root(rotation: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eig(rotation)
    return vectors @ np.diag(np.sqrt(values.astype(complex))) @ np.linalg.inv(vectors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train", type=Path)
    parser.add_argument("dev", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    chosen = parser.parse_args()
    maps = [load(path) for path in sorted(chosen.train.glob("*_DLMUSE.nii.gz"))]
    marks = mean_landmarks(np.stack([frames.landmarks(labels, affine, "dlmuse") for labels, affine in maps]))
    grid = np.diag([MM, MM, MM, 1.0])
    grid[:3, 3] = LOW
    shape = tuple(((HIGH - LOW) / MM).astype(int) + 1)
    votes = np.zeros((len(places.LOBES) + 1, *shape), np.int16)
    where = world(grid, shape)
    for labels, affine in maps:
        own = frames.landmarks(labels, affine, "dlmuse")
        through = np.linalg.inv(affine) @ np.linalg.inv(frames.fit(own, marks))
        index = np.moveaxis(where @ through[:3, :3].T + through[:3, 3], -1, 0)
        lobes = map_coordinates(places.lobe_map(labels, affine, "dlmuse"), index, order=0)
        for number in range(1, len(votes)):
            votes[number] += lobes == number
    lobes = np.where(votes[1:].sum(0) > 0, votes[1:].argmax(0) + 1, 0).astype(np.uint8)
    _, (x, y, z) = distance_transform_edt(lobes == 0, return_indices=True)
    lobes = lobes[x, y, z]
    if chosen.output:
        np.savez_compressed(chosen.output, landmarks=marks.round(3), lobes=lobes, affine=grid)
        frames.frame.cache_clear()
    scores = []
    for path in sorted(chosen.dev.glob("*_DLMUSE.nii.gz")):
        labels, affine = load(path)
        true = places.lobe_map(labels, affine, "dlmuse")
        guess = np.where(true > 0, places._by_atlas(labels, affine, "dlmuse"), 0)
        scores.append([2 * ((true == n) & (guess == n)).sum() / ((true == n).sum() + (guess == n).sum()) for n in range(1, 6)])
    for lobe, dice in zip(places.LOBES, np.transpose(scores)):
        print(f"{lobe:12} Dice {dice.mean():.3f} ({dice.min():.3f} to {dice.max():.3f})")


if __name__ == "__main__":
    main()
