from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Invertd, Orientationd, Transform

from medgen.transforms.intensity import NormalizeHUd, NormalizeMRd, percentile


def oblique(image: np.ndarray) -> MetaTensor:
    """A scan stored as LPS with its axes permuted, so that RAS needs a transpose and flips."""
    affine = np.array([[0, 0, -1.5, 90], [-0.8, 0, 0, 70], [0, 2.5, 0, -40], [0, 0, 0, 1]], dtype=np.float64)
    return MetaTensor(torch.from_numpy(image)[None], affine=torch.from_numpy(affine))


def there_and_back(normalise: Transform, image: MetaTensor) -> tuple[MetaTensor, MetaTensor]:
    forward = Compose([Orientationd("image", axcodes="RAS"), normalise])
    data = forward({"image": image.clone()})
    back = Invertd("image", forward, orig_keys="image", nearest_interp=False, to_tensor=True)(dict(data))
    return data["image"], back["image"]


def test_hu_and_orientation_come_back_by_invertd() -> None:
    hu = np.random.RandomState(0).randint(-3024, 3071, (7, 5, 6)).astype(np.float32)
    image = oblique(hu)
    normalised, back = there_and_back(NormalizeHUd("image", -1024, 1024), image)
    assert normalised.shape == (1, 6, 7, 5)
    assert float(normalised.min()) < 0 and float(normalised.max()) > 1  # nothing is clipped
    assert back.shape == image.shape
    np.testing.assert_allclose(back.affine, image.affine, atol=1e-9)
    np.testing.assert_array_equal(np.rint(back.numpy()[0]), hu)
    np.testing.assert_allclose(back.numpy()[0], hu, atol=1e-3)


def test_the_hu_window_maps_to_zero_and_one() -> None:
    image = torch.tensor([-1000.0, 0.0, 1000.0, 3000.0]).reshape(1, 4, 1, 1)
    out = NormalizeHUd("image", -1000, 1000)({"image": image})["image"]
    torch.testing.assert_close(out.as_tensor().flatten(), torch.tensor([0.0, 0.5, 1.0, 2.0]))


def test_integers_are_normalised_as_floats() -> None:
    image = torch.tensor([-1024, 0, 1023], dtype=torch.int16).reshape(1, 3, 1, 1)
    out = NormalizeHUd("image")({"image": image})["image"]
    assert out.dtype == torch.float32
    assert float(out[0, 1, 0, 0]) == 0.5


def test_an_empty_window_is_refused() -> None:
    with pytest.raises(ValueError, match="low < high"):
        NormalizeHUd("image", 100, 100)


@pytest.mark.parametrize("lower", [None, 1.0])
def test_mr_comes_back_by_invertd(lower: float | None) -> None:
    stored = np.random.RandomState(1).gamma(2.0, 300.0, (6, 7, 5)).astype(np.float32)
    stored[:2] = 0
    normalised, back = there_and_back(NormalizeMRd("image", lower=lower), oblique(stored))
    positive = stored[stored > 0]
    low = 0.0 if lower is None else np.percentile(positive, lower, method="nearest")
    high = np.percentile(positive, 99.5, method="nearest")
    np.testing.assert_allclose(float(normalised.max()), (stored.max() - low) / (high - low), rtol=1e-5)
    np.testing.assert_allclose(back.numpy()[0], stored, rtol=1e-5, atol=1e-3)


def test_zero_stays_zero_in_mr() -> None:
    stored = torch.rand(1, 5, 5, 5) * 900
    stored[:, :2] = 0
    assert not NormalizeMRd("image")({"image": stored})["image"][:, :2].any()


@pytest.mark.parametrize("value", [0.0, 7.0])
@pytest.mark.parametrize("lower", [None, 1.0])
def test_a_constant_image_stays_finite_and_comes_back(value: float, lower: float | None) -> None:
    normalised, back = there_and_back(
        NormalizeMRd("image", lower=lower), oblique(np.full((3, 4, 5), value, np.float32))
    )
    assert torch.isfinite(normalised).all()
    np.testing.assert_allclose(back.numpy(), value, rtol=1e-6)


def test_the_input_is_not_touched() -> None:
    image = oblique(np.random.RandomState(2).rand(3, 4, 5).astype(np.float32))
    before = image.clone()
    NormalizeMRd("image")({"image": image})
    torch.testing.assert_close(image.as_tensor(), before.as_tensor())
    assert image.applied_operations == []


@pytest.mark.parametrize(("lower", "upper"), [(99.0, 50.0), (None, 101.0), (None, 0.0)])
def test_impossible_percentiles_are_refused(lower: float | None, upper: float) -> None:
    with pytest.raises(ValueError, match="percentiles"):
        NormalizeMRd("image", upper, lower)


@pytest.mark.parametrize("n", [1, 2, 101, 10_007])
@pytest.mark.parametrize("q", [0.0, 0.3, 33.3, 50.1, 99.5, 100.0])
def test_percentile_is_numpys_nearest(n: int, q: float) -> None:
    values = np.random.RandomState(n).standard_normal(n).astype(np.float32)
    assert percentile(torch.from_numpy(values), q) == np.percentile(values, q, method="nearest")


def test_percentile_of_nothing_is_zero() -> None:
    assert percentile(torch.empty(0), 50.0) == 0.0


def test_percentile_takes_more_values_than_torch_quantile() -> None:
    values = torch.arange(2**24 + 3, dtype=torch.int32) % 1000  # torch's limit is 2**24
    assert percentile(values, 50.0) in (499.0, 500.0)
