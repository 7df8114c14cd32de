from __future__ import annotations

import hashlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from scipy.ndimage import affine_transform, gaussian_filter

from medgen.evaluation.features import Extractor
from medgen.evaluation.sampling import cube
from medgen.synthesis.copies import NEAR, RefuseCopiesd, described, limits
from medgen.synthesis.nearest import coarse, distances


def warped(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    middle = (np.array(image.shape) - 1) / 2
    return affine_transform(image, matrix, middle - matrix @ middle, order=1)


def bent(image: np.ndarray, amount: float = 6.0) -> np.ndarray:
    """Return a head of another shape, to which no affine map leads: bent along each axis by another one."""
    x, y, z = np.indices(image.shape, dtype=np.float32)
    where = [x + amount * np.sin(y / 14), y + amount * np.sin(z / 12 + 1), z + amount * np.sin(x / 13 + 2)]
    at = torch.from_numpy(np.stack([2 * (w + 0.5) / n - 1 for w, n in zip(where, image.shape)][::-1], -1))
    return torch.nn.functional.grid_sample(torch.from_numpy(image)[None, None], at[None], align_corners=False)[0, 0].numpy()


@pytest.fixture(scope="module")
def head() -> np.ndarray:
    path = Path(__file__).parents[2] / "sample_data/brain/mni152_t1.nii.gz"
    head = np.asarray(nib.load(path).dataobj, np.float32)[::2, ::2, ::2]
    return head / np.percentile(head[head > 0], 99.5)


@pytest.fixture(scope="module")
def known(head: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the description of two subjects: a head, and one of another shape."""
    extractor, affine = Extractor(), np.diag([2.0, 2, 2, 1])
    described_both = [described(image, affine, extractor) for image in (head, bent(head))]
    images, features = (np.stack(kind) for kind in zip(*described_both))
    path = tmp_path_factory.mktemp("known") / "scans.npz"
    np.savez(path, images=images, features=features, limits=limits(images, features, np.array([0, 1])), extractor=extractor.sha256)
    return path


def compared(head: np.ndarray, known: Path) -> dict:
    image = MetaTensor(torch.from_numpy(head.astype(np.float32))[None], affine=torch.diag(torch.tensor([2.0, 2, 2, 1])))
    return RefuseCopiesd("pred", str(known), hashlib.sha256(known.read_bytes()).hexdigest())({"pred": image, "report": {"a": 1}})


def test_the_limit_is_half_of_the_smallest_distance_between_subjects(head: np.ndarray) -> None:
    affine, how = np.diag([2.0, 2, 2, 1]), Extractor().sampling()
    images = np.stack([coarse(cube(image, affine, False, how)) for image in (head, bent(head), bent(head, 9.0))])
    features, subjects = np.array([[0.0], [1], [7]]), np.array([0, 0, 1])
    least = min(distances(images[:2], images[2]).min(), distances(images[2:], images[0]).min(), distances(images[2:], images[1]).min())
    assert limits(images, features, subjects) == pytest.approx((NEAR * least, NEAR * 6), rel=1e-4)


SQUEEZED = np.diag([1.06, 0.94, 1.0])
TURNED = np.array([[np.cos(0.1), -np.sin(0.1), 0], [np.sin(0.1), np.cos(0.1), 0], [0, 0, 1]])
COPIES = {
    "itself": lambda head: head,
    "noise and brighter": lambda head: 3 * head + 0.05 * np.random.RandomState(0).standard_normal(head.shape),
    "mirrored": lambda head: head[::-1].copy(),
    "gamma": lambda head: head**0.7,
    "all of it": lambda head: gaussian_filter(warped(head[::-1], TURNED @ SQUEEZED), 1) ** 0.7,
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_refused_also_when_it_is_altered(name: str, head: np.ndarray, known: Path) -> None:
    with pytest.raises(ValueError, match="copy of a scan of the training"):
        compared(COPIES[name](head), known)


def test_another_head_is_taken_and_its_distances_are_told(head: np.ndarray, known: Path) -> None:
    report = compared(bent(head, -6.0), known)["report"]
    assert report["a"] == 1
    assert all(one["distance"] > one["limit"] > 0 for one in report["nearest_training_scan"].values())


def test_missing_altered_or_of_another_extractor_is_refused(known: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="are missing; install medgen again"):
        RefuseCopiesd("pred", str(tmp_path / "no.npz"), "0" * 64)
    with pytest.raises(ValueError, match="are altered .*install medgen again"):
        RefuseCopiesd("pred", str(known), "0" * 64)
    with np.load(known) as stored:
        np.savez(tmp_path / "other.npz", **{**stored, "extractor": "0"})
    with pytest.raises(ValueError, match="another feature extractor"):
        RefuseCopiesd("pred", str(tmp_path / "other.npz"), hashlib.sha256((tmp_path / "other.npz").read_bytes()).hexdigest())
