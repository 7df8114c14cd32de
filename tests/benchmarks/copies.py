"""Which altered copies of training scans are refused, and whether held-out scans are taken:

    python -m tests.benchmarks.copies PAIRS --data DEV [--bundle brain_mri_synthesis_spade] [--every 4]

PAIRS is what tests.benchmarks.brain_pairs wrote of the training scans; DEV holds brain_t1/ and brain_multicontrast/.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from monai.data import MetaTensor
from scipy.ndimage import affine_transform, gaussian_filter

from medgen.bundles import open_bundle


def turned(image: np.ndarray, degrees: float, zoom: np.ndarray | float = 1.0) -> np.ndarray:
    """Turn an image around its middle in its first two axes, and zoom it by a factor for each axis."""
    angle = np.deg2rad(degrees)
    matrix = np.diag(1 / np.broadcast_to(zoom, 3))
    matrix[:2, :2] = matrix[:2, :2] @ [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    middle = (np.array(image.shape) - 1) / 2
    return affine_transform(image, matrix, middle - matrix @ middle, order=1)


def noisy(image: np.ndarray) -> np.ndarray:
    return image + 0.05 * np.random.RandomState(0).standard_normal(image.shape).astype(np.float32)


def biased(image: np.ndarray) -> np.ndarray:
    x, z = np.linspace(0, 3, image.shape[0]), np.linspace(-1, 1, image.shape[2])
    return image * (1 + 0.4 * np.sin(x)[:, None, None] * z[None, None])


ALTERATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda image: image,
    "5 % noise": noisy,
    "blurred by 2 voxels": lambda image: gaussian_filter(image, 2),
    "moved by 4 voxels": lambda image: np.pad(image, ((8, 0), (0, 0), (0, 0))),
    "mirrored": lambda image: image[::-1],
    "gamma 0.7": lambda image: image**0.7,
    "gamma 1.5": lambda image: image**1.5,
    "turned by 5 degrees": lambda image: turned(image, 5),
    "squeezed by 6 %, stretched by 8 %": lambda image: turned(image, 0, np.array([1 / 1.08, 1.06, 1])),
    "mirrored, turned, gamma and noise": lambda image: noisy(turned(image[::-1], 5) ** 0.7),
    "zoomed by 8 %, cut at the border": lambda image: turned(image, 0, 1.08),
    "a bias field of 40 %": biased,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", default="brain_mri_synthesis_spade")
    parser.add_argument("--every", type=int, default=4, help="so manieth training scan")
    options = parser.parse_args()
    check = open_bundle(options.bundle, "cpu").get("copies")

    def compared(image: np.ndarray, affine: np.ndarray) -> str:
        try:
            told = check({"pred": MetaTensor(np.ascontiguousarray(image, np.float32)[None], affine=affine)})
        except ValueError as error:
            return str(error)
        return f"taken: {told['report']['nearest_training_scan']['image']['distance']:.3f}"

    def scaled(path: Path) -> tuple[np.ndarray, np.ndarray]:
        scan = nib.load(path)
        image = np.asarray(scan.dataobj, np.float32).clip(0)
        return image / np.percentile(image[image > 0], 99.5), scan.affine

    print(f"limits {check.limits}")
    training = [Path(str(path).replace("_classes", "")) for path in sorted(options.pairs.glob("*_classes.nii.gz"))][:: options.every]
    print("| altered | refused | n |\n|---|---|---|")
    for name, alter in ALTERATIONS.items():
        told = []
        for path in training:
            image, affine = scaled(path)
            told.append(compared(alter(image), affine))
        print(f"| {name} | {sum('taken' not in line for line in told)} | {len(told)} |", flush=True)
    held_out = sorted([*options.data.glob("brain_t1/*_T1.nii.gz"), *options.data.glob("brain_multicontrast/*.nii.gz")])
    held_out = [path for path in held_out if "lesion" not in path.name]
    told = [compared(*scaled(path)) for path in held_out]
    print(f"held-out scans refused: {sum('taken' not in line for line in told)} of {len(told)}; nearest: {min(told)}")


if __name__ == "__main__":
    main()
