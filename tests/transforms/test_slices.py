from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor

from medgen.transforms.slices import ConsistentSlicesd, RandThickSlicesd, ThinSlicesd, kriging, slice_matrix

AFFINE = torch.tensor([[0, -0.8, 0, 7], [0.9, 0, 0, -3], [0, 0, 4.0, 11], [0, 0, 0, 1]], dtype=torch.float64)


def linear(shape: tuple[int, ...], affine: torch.Tensor) -> MetaTensor:
    """Every voxel is a linear function of its place in the world."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in shape), np.ones(1), indexing="ij"), -1).reshape(*shape, 4)
    world = index @ affine.numpy().T
    return MetaTensor(torch.from_numpy(300 + world[..., :3] @ np.array([1.0, 2.0, 3.0])).float()[None], affine=affine)


@pytest.mark.parametrize("profile", ["gaussian", "box"])
@given(spacing=st.floats(1.0, 6.0), ratio=st.floats(0.3, 1.5), first=st.floats(0.0, 3.0))
@settings(max_examples=25, deadline=None)
def test_slices_are_averages_centred_where_they_are_said_to_be(profile: str, spacing: float, ratio: float, first: float) -> None:
    matrix = slice_matrix(64, spacing, spacing * ratio, first + 12, int(40 / spacing), profile)
    np.testing.assert_allclose(matrix.sum(1), 1)
    assert (matrix >= 0).all()
    centres = first + 12 + spacing * np.arange(len(matrix))
    np.testing.assert_allclose(matrix @ np.arange(64), centres, atol=0.51)  # half a voxel, of profiles under one


def test_the_gaussian_profile_has_its_width_at_half_maximum() -> None:
    row = slice_matrix(401, 1, 100.0, 200.0, 1)[0]
    assert row[150] / row[200] == pytest.approx(0.5, abs=1e-6)


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(ValueError, match="gaussian"):
        slice_matrix(8, 2, 2, 0, 4, "sinc")


@given(factor=st.floats(1.5, 6.0), first=st.floats(0.0, 3.0))
@settings(max_examples=25, deadline=None)
def test_kriging_gives_the_slices_back_and_keeps_a_constant(factor: float, first: float) -> None:
    matrix = slice_matrix(60, factor, factor, first, int((59 - first) // factor) + 1)
    inverse = kriging(matrix, noise=1e-6)
    slices = np.random.RandomState(0).uniform(0, 1, len(matrix))
    np.testing.assert_allclose(matrix @ inverse @ slices, slices, atol=2e-3)
    np.testing.assert_allclose(kriging(matrix) @ np.ones(len(matrix)), 1, atol=1e-3)


def test_kriging_is_nearer_than_cubic_interpolation() -> None:
    from scipy.ndimage import gaussian_filter1d, map_coordinates

    image = gaussian_filter1d(np.random.RandomState(0).standard_normal((200, 96)), 1.5, axis=1)
    matrix = slice_matrix(96, 3, 3, 1, 32)
    slices = image @ matrix.T
    cubic = map_coordinates(slices, np.meshgrid(np.arange(200.0), (np.arange(96) - 1) / 3, indexing="ij"), order=3, mode="nearest")
    assert np.mean((slices @ kriging(matrix).T - image) ** 2) < 0.8 * np.mean((cubic - image) ** 2)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("spacing", [1.0, 1.3, 2.0])
def test_a_linear_field_keeps_its_place_in_the_world(axis: int, spacing: float) -> None:
    shape = [7, 6, 5]
    shape[axis] = 24
    order = [0, 1]
    order.insert(axis, 2)
    image = linear(tuple(shape), AFFINE[:, [*order, 3]])
    data = ThinSlicesd("image", spacing=spacing)({"image": image})
    fine = data["image"]
    voxels = round(24 * 4.0 / spacing)
    assert fine.shape[0] == 4 and fine.shape[-1] == voxels
    data["pred"] = MetaTensor(fine[:1].clone())
    back = ConsistentSlicesd("pred")(data)["pred"]
    truth = linear(tuple(back.shape[1:]), back.affine)
    inner = [slice(None)] * 3
    inner[axis] = slice(voxels // 4, -(voxels // 4))  # the ends see half a profile
    np.testing.assert_allclose(np.asarray(back)[0][tuple(inner)], np.asarray(truth)[0][tuple(inner)], atol=0.5)  # of 12 between two slices
    mm = np.linalg.norm(np.asarray(back.affine)[:3, :3], axis=0)
    assert mm[axis] == pytest.approx(spacing, abs=1e-6) and back.shape[1 + axis] == voxels


def test_the_target_is_bounded_by_plane_factor_and_slices() -> None:
    thick = MetaTensor(torch.rand(1, 8, 8, 10), affine=torch.diag(torch.tensor([2.0, 2.0, 9.0, 1.0], dtype=torch.float64)))
    even = MetaTensor(torch.rand(1, 8, 8, 10), affine=torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0], dtype=torch.float64)))
    thickest = MetaTensor(torch.rand(1, 8, 8, 10), affine=torch.diag(torch.tensor([0.5, 0.5, 9.0, 1.0], dtype=torch.float64)))
    assert ThinSlicesd("image", spacing=1.0)({"image": thick})["image_slices"]["factor"] == pytest.approx(4.5)  # the plane's 2 mm
    assert ThinSlicesd("image", spacing=1.0)({"image": even})["image_slices"]["factor"] == pytest.approx(1)
    assert ThinSlicesd("image", spacing=0.1)({"image": thickest})["image_slices"]["factor"] == pytest.approx(6)
    with pytest.raises(ValueError, match="above 0"):
        ThinSlicesd("image", spacing=0)


@pytest.mark.parametrize("shape", [(1, 1, 1), (4, 1, 2), (3, 3, 1)])
def test_tiny_scans_and_single_slices_pass(shape: tuple[int, ...]) -> None:
    image = MetaTensor(torch.rand(1, *shape), affine=AFFINE)
    data = ThinSlicesd("image")({"image": image})
    data["pred"] = MetaTensor(data["image"][:1].clone())
    assert torch.isfinite(ConsistentSlicesd("pred")(data)["pred"]).all()


def test_what_the_network_adds_is_projected_on_the_slices() -> None:
    image = MetaTensor(torch.rand(1, 6, 6, 12) + 1, affine=AFFINE)
    data = ThinSlicesd("image")({"image": image})
    data["pred"] = MetaTensor(data["image"][:1] + 0.4)
    free, held = (ConsistentSlicesd("pred", project=project)(dict(data))["report"]["data_consistency_percent"] for project in (False, True))
    assert free["written"] == free["network"] > 15
    assert held["network"] == free["network"] and held["written"] < 0.5


@pytest.mark.parametrize("low", [0.0, -1024.0, -3000.0])
def test_no_value_lies_below_what_a_magnitude_or_hu_can_be(low: float) -> None:
    image = MetaTensor(torch.rand(1, 6, 6, 12) + low, affine=AFFINE)
    image[0, :, :, ::3] = low
    data = ThinSlicesd("image")({"image": image})
    data["pred"] = MetaTensor(data["image"][:1] - 5)
    least = float(ConsistentSlicesd("pred", project=False)(data)["pred"].min())
    assert least == low if low > -3000 else least < low


def test_a_header_tells_the_thickness() -> None:
    image = MetaTensor(torch.rand(1, 6, 6, 12), affine=AFFINE, meta={"slice_thickness": 5.0})
    image.affine = AFFINE
    assert ThinSlicesd("image")({"image": image})["image_slices"]["thickness"] == pytest.approx(5)
    assert ThinSlicesd("image", thickness=3.0)({"image": image})["image_slices"]["thickness"] == pytest.approx(3)


def test_training_crops_look_like_what_inference_prepares() -> None:
    image = torch.rand(1, 16, 16, 48)
    transform = RandThickSlicesd("image", factor=(4.0, 4.0), prob_blur=0, prob_noise=0).set_random_state(0)
    crop = transform({"image": image})["image"]
    assert crop.shape == (4, 16, 16, 48) and crop.dtype == torch.float32
    assert float(crop[1].unique()) == pytest.approx(4 / 6)
    assert float((crop[0] - image[0]).abs().mean()) > 0.05  # white noise does not survive thick slices
    again = transform.set_random_state(0)({"image": image})["image"]
    assert torch.equal(crop, again)


@pytest.mark.parametrize(("noise", "low", "high"), [(0.0, 0.9, 1.0), (0.05, 0.0, 0.1)])
def test_noise_that_the_network_took_off_stays_off(noise: float, low: float, high: float) -> None:
    """The network's mistake is smooth; what else it is away from the slices is their noise."""
    rng = np.random.RandomState(0)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in (48, 48, 24)), indexing="ij")
    body = x**2 + y**2 < 0.8
    truth = np.float32(body * (0.6 + 0.2 * np.cos(5 * z)))
    mistake = np.float32(0.02 * body * np.sin(3 * x))
    thick = truth @ slice_matrix(24, 3, 3, 1, 8).T.astype(np.float32) + np.float32(noise) * rng.standard_normal((48, 48, 8)).astype(np.float32)
    data = ThinSlicesd("image", spacing=1.0)({"image": MetaTensor(torch.from_numpy(thick)[None], affine=np.diag([1.0, 1, 3, 1]))})
    data["pred"] = MetaTensor(torch.from_numpy(truth + mistake)[None])
    made, kept = ConsistentSlicesd("pred")(dict(data)), ConsistentSlicesd("pred", keep_noise=True)(dict(data))

    def error(result: dict) -> float:
        return float(np.sqrt(np.mean((result["pred"][0].numpy() - truth)[body] ** 2)))

    assert low <= made["report"]["projected"] <= high and kept["report"]["projected"] == 1
    assert error(made) < (0.5 * 0.02 if noise == 0 else 0.5 * error(kept))
    assert kept["report"]["data_consistency_percent"]["written"] < 0.1
