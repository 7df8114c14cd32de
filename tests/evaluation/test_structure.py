from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.metrics import MultiScaleSSIMMetric, SSIMMetric
from numpy.random import RandomState
from skimage.metrics import structural_similarity

from medgen.evaluation import structure
from medgen.evaluation.structure import middle, ms_ssim, scales_that_fit, ssim, ssim_map


def pair(shape: tuple[int, ...], noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    random = RandomState(len(shape))
    reference = 0.5 + 0.3 * np.sin(np.indices(shape).sum(0) / 3)
    return (reference + noise * random.standard_normal(shape)).astype(np.float32), reference.astype(np.float32)


def tensors(*images: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(image)[None, None] for image in images]


def scikit(candidate: np.ndarray, reference: np.ndarray) -> np.ndarray:
    wide = [image.astype(np.float64) for image in (candidate, reference)]
    return structural_similarity(*wide, data_range=1.0, gaussian_weights=True, use_sample_covariance=False, full=True)[1]


def test_ssim_has_monais_value() -> None:
    images = pair((30, 25, 20))
    expected = float(SSIMMetric(3, data_range=1.0)(*tensors(*images)))
    assert ssim(*images, 1.0) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("slab", [1, 5000, 10**9])
def test_slabs_leave_no_trace(monkeypatch: pytest.MonkeyPatch, slab: int, axis: int) -> None:
    """Whatever fits in the cache at a time: the value is scikit-image's, also where the slabs meet."""
    monkeypatch.setattr(structure, "SLAB", slab)
    shape = [14, 13, 12]
    shape[axis] = 67
    images = pair(tuple(shape))
    mask = RandomState(0).rand(*shape) > 0.5
    expected = scikit(*images)
    np.testing.assert_allclose(ssim_map(*images, 1.0), expected, atol=1e-6)
    assert ssim(*images, 1.0) == pytest.approx(expected[middle(shape)].mean(), abs=1e-10)
    assert ssim(*images, 1.0, mask) == pytest.approx(expected[mask].mean(), abs=1e-10)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slice_by_slice_is_scikit_image_in_2d(axis: int) -> None:
    candidate, reference = pair((16, 15, 14))
    axes = [i for i in range(3) if i != axis]
    found = np.moveaxis(ssim_map(candidate, reference, 1.0, axes), axis, 0)
    for mine, a, b in zip(found, np.moveaxis(candidate, axis, 0), np.moveaxis(reference, axis, 0)):
        np.testing.assert_allclose(mine, scikit(a, b), atol=1e-6)


@pytest.mark.parametrize("shape", [(176, 180), (199, 181)])
def test_five_scales_have_monais_value(shape: tuple[int, int]) -> None:
    images = pair(shape, 0.3)
    expected = float(MultiScaleSSIMMetric(2, data_range=1.0)(*tensors(*images)))
    assert ms_ssim(*images, 1.0) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("scales", [1, 2])
def test_fewer_scales_have_monais_value_for_their_weights(scales: int) -> None:
    images = pair((24, 23, 22), 0.2)
    weights = np.array(structure.WEIGHTS[:scales])
    expected = float(MultiScaleSSIMMetric(3, data_range=1.0, weights=list(weights / weights.sum()))(*tensors(*images)))
    assert ms_ssim(*images, 1.0, scales) == pytest.approx(expected, abs=1e-5)


def test_one_scale_is_ssim() -> None:
    images = pair((15, 14, 13))
    assert ms_ssim(*images, 1.0, 1) == pytest.approx(ssim(*images, 1.0), abs=1e-12)


@pytest.mark.parametrize(("shape", "scales"), [((10, 99, 99), 0), ((11, 50, 50), 1), ((22, 23, 99), 2), ((175,) * 3, 4), ((500,) * 3, 5)])
def test_scales_that_fit(shape: tuple[int, ...], scales: int) -> None:
    assert scales_that_fit(shape) == scales


def test_scales_without_room_are_refused_by_name() -> None:
    images = pair((22, 23, 24))
    with pytest.raises(ValueError, match="room for 2 scales of 11 voxels, not 5"):
        ms_ssim(*images, 1.0)
    with pytest.raises(ValueError, match="not 0"):
        ms_ssim(*images, 1.0, 0)


def test_an_inverted_image_has_none() -> None:
    reference = RandomState(0).rand(22, 22, 22)
    assert ms_ssim(1 - reference, reference, 1.0, 2) == 0


def test_identical_images_have_one() -> None:
    _, reference = pair((44, 44, 44))
    assert ms_ssim(reference, reference, 1.0, 3) == pytest.approx(1, abs=1e-12)
