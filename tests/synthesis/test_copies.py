from __future__ import annotations

import hashlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from medgen.evaluation.features import Extractor
from medgen.synthesis.copies import NEAR, RefuseCopiesd, described, limits


def test_the_limit_is_half_of_the_smallest_distance_between_subjects() -> None:
    blocks, features = np.array([[0.0, 0], [0, 0.1], [3, 4]]), np.array([[0.0], [1], [7]])
    assert limits(blocks, features, np.array([0, 0, 1])) == pytest.approx((NEAR * np.hypot(3, 3.9), NEAR * 6))


@pytest.fixture(scope="module")
def head() -> np.ndarray:
    path = Path(__file__).parents[2] / "sample_data/brain/mni152_t1.nii.gz"
    return np.asarray(nib.load(path).dataobj, np.float32)[::2, ::2, ::2]


@pytest.fixture(scope="module")
def known(head: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the description of two subjects: a head, and the same squeezed."""
    extractor, affine = Extractor(), np.diag([2.0, 2, 2, 1])
    both = [described(image, affine, extractor) for image in (head, head[:, ::-1] ** 2)]
    path = tmp_path_factory.mktemp("known") / "scans.npz"
    np.savez(path, blocks=[b for b, _ in both], features=[f for _, f in both], subjects=[0, 1], extractor=extractor.sha256)
    return path


def compared(head: np.ndarray, known: Path) -> dict:
    image = MetaTensor(torch.from_numpy(head.copy())[None], affine=torch.diag(torch.tensor([2.0, 2, 2, 1])))
    return RefuseCopiesd("pred", str(known), hashlib.sha256(known.read_bytes()).hexdigest())({"pred": image, "report": {"a": 1}})


def test_a_copy_is_refused_also_with_noise_and_brighter(head: np.ndarray, known: Path) -> None:
    noisy = 3 * head + np.random.RandomState(0).standard_normal(head.shape).astype(np.float32) * head.max() * 0.01
    with pytest.raises(ValueError, match="copy of a scan of the training"):
        compared(noisy, known)


def test_another_head_is_taken_and_its_distances_are_told(head: np.ndarray, known: Path) -> None:
    report = compared(np.sqrt(head[::-1, :, ::-1]), known)["report"]
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
