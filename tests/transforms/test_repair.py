from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Invertd

from medgen.transforms.holes import blob
from medgen.transforms.intensity import NormalizeHUd, NormalizeMRd
from medgen.transforms.repair import FillHolesd, OpenHolesd, PasteKnownd
from medgen.transforms.spoil import spoil

AFFINE = torch.diag(torch.tensor([1.0, 1.0, 2.0, 1.0], dtype=torch.float64))


def scan(seed: int = 0) -> np.ndarray:
    """Return a smooth head-like object of 40x48x36 voxels with texture, in odd units."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.RandomState(seed)
    x, y, z = np.mgrid[-1:1:40j, -1:1:48j, -1:1:36j]
    body = (x**2 + y**2 + 0.8 * z**2 < 0.75) * (1 + 0.4 * gaussian_filter(rng.standard_normal(x.shape), 2) * 8)
    return (300 * (body + 0.03 * rng.standard_normal(x.shape))).clip(0).astype(np.float32)


def data(image: np.ndarray, hole: np.ndarray | None = None) -> dict[str, Any]:
    out = {"image": MetaTensor(torch.from_numpy(image)[None], affine=AFFINE)}
    if hole is not None:
        out["mask"] = MetaTensor(torch.from_numpy(hole.astype(np.float32) * 3)[None], affine=AFFINE)
    return out


def chain(scale: Any, **settings: Any) -> tuple[Compose, Compose]:
    forward = Compose([OpenHolesd("image"), scale, FillHolesd("image", **settings)])
    back = Compose([Invertd("pred", scale, "image", nearest_interp=False, to_tensor=True), PasteKnownd("pred")])
    return forward, back


def through(image: np.ndarray, hole: np.ndarray | None, scale: Any, network: Any, **settings: Any) -> dict[str, Any]:
    forward, back = chain(scale, **settings)
    prepared = forward(data(image, hole))
    return back({**prepared, "pred": MetaTensor(network(prepared["image"].as_tensor()), meta=prepared["image"].meta)})


@pytest.mark.parametrize("scale", [NormalizeMRd("image"), NormalizeHUd("image")])
def test_outside_the_mask_no_bit_changes_whatever_the_network_says(scale: Any) -> None:
    image = scan() * np.float32(1.0000001) + np.float32(0.1)
    hole = blob(image.shape, (20, 24, 18), 12)
    out = through(image, hole, scale, lambda x: x[:1] * 3 + 77, context=8)
    result = out["pred"][0].numpy()
    assert result.dtype == image.dtype and result.shape == image.shape
    assert np.array_equal(result[~hole].view(np.int32), image[~hole].view(np.int32))
    assert not np.isclose(result[hole], image[hole]).any()
    assert torch.equal(out["pred"].affine, AFFINE)
    assert out["report"]["filled_voxels"] == hole.sum() and out["report"]["filled_ml"] == pytest.approx(hole.sum() * 2e-3, abs=1e-3)


def test_a_fill_of_a_magnitude_image_is_none_below_0() -> None:
    hole = blob(scan().shape, (20, 24, 18), 12)
    image = np.abs(scan())
    assert through(image, hole, NormalizeMRd("image"), lambda x: x[:1] - 5)["pred"][0].numpy()[hole].max() == 0
    image[0, 0, 0] = -5000.0  # neither magnitude nor HU
    assert through(image, hole, NormalizeMRd("image"), lambda x: x[:1] - 5)["pred"][0].numpy()[hole].max() < 0


def test_the_fill_comes_back_in_the_units_of_the_scan() -> None:
    image = scan()
    hole = blob(image.shape, (20, 24, 18), 12)
    seen: list[torch.Tensor] = []

    def remember(x: torch.Tensor) -> torch.Tensor:
        seen.append(x)
        return x[:1]

    out = through(np.where(hole, 9e5, image).astype(np.float32), hole, NormalizeMRd("image"), remember)
    assert 0.1 < float(seen[0][0].max()) < 3  # what is spoiled does not rule the scale
    assert np.abs(out["pred"][0].numpy() - image)[hole].mean() < 60


def test_a_box_around_the_hole_is_cut_out_on_the_strides_grid() -> None:
    image = np.zeros((200, 200, 100), dtype=np.float32) + 1
    hole = blob(image.shape, (120, 100, 50), 10)
    forward, _ = chain(NormalizeMRd("image"), context=16)
    prepared = forward(data(image, hole))
    box = tuple(slice(start, stop) for start, stop in prepared["image_holes"]["bounds"])
    assert prepared["image"].shape[1:] == tuple(s.stop - s.start for s in box)
    assert all(s.start % 16 == 0 and (s.stop - s.start) % 16 == 0 for s in box[:2])
    outside = hole.copy()
    outside[box] = False
    assert not outside.any() and prepared["image"].shape[1] < 80


def test_it_survives_a_batch() -> None:
    """As MONAI's evaluator collates it before the network and takes it apart behind it."""
    from monai.data import decollate_batch, list_data_collate

    image = scan()
    hole = blob(image.shape, (20, 24, 18), 12)
    forward, back = chain(NormalizeMRd("image"), context=8)
    batch = list_data_collate([forward(data(image, hole))])
    batch["pred"] = batch["image"][:, :1] + 1
    (prepared,) = decollate_batch(batch)
    result = back(prepared)["pred"][0].numpy()
    assert np.array_equal(result[~hole], image[~hole]) and not np.isclose(result[hole], image[hole]).any()


def test_nothing_given_and_nothing_found_changes_nothing() -> None:
    image = scan()
    out = through(image, None, NormalizeMRd("image"), lambda x: x[:1] + 1)
    assert np.array_equal(out["pred"][0].numpy(), image)
    assert out["report"] == {"mask": "none", "spoiled_slices": [], "rescaled": [], "filled_voxels": 0, "filled_ml": 0.0}


def test_a_spoiled_slice_is_found_filled_and_told() -> None:
    image = scan()
    spoiled = spoil(image, 2, [15], "dropout", np.random.RandomState(0))
    out = through(spoiled, None, NormalizeMRd("image"), lambda x: x[:1])
    assert [(s["axis"], s["slice"]) for s in out["report"]["spoiled_slices"]] == [(2, 15)]
    result = out["pred"][0].numpy()
    others = np.arange(36) != 15
    assert np.array_equal(result[..., others], spoiled[..., others])
    assert np.abs(result - image)[..., 15].mean() < 0.3 * np.abs(spoiled - image)[..., 15].mean()
    assert through(spoiled, None, NormalizeMRd("image"), lambda x: x[:1], find=False)["report"]["mask"] == "none"


@pytest.mark.parametrize(("scale", "zero"), [(NormalizeMRd("image"), 0.0), (NormalizeHUd("image"), -1024.0)])
def test_an_uneven_interleave_is_rescaled_and_told_and_nothing_else_changes(scale: Any, zero: float) -> None:
    image = scan() * np.float32(4 if zero else 1) + np.float32(zero)
    uneven = image.copy()
    uneven[:, :, 1::2] = (uneven[:, :, 1::2] - zero) * 0.8 + zero
    out = through(uneven, None, scale, lambda x: x[:1] + 5)
    (told,) = out["report"]["rescaled"]
    assert (told["axis"], told["slices"]) == (2, list(range(1, 36, 2))) and told["by"] == pytest.approx(1.25, rel=0.02)
    assert out["report"]["filled_voxels"] == 0
    result = out["pred"][0].numpy()
    assert np.array_equal(result[:, :, ::2].copy().view(np.int32), uneven[:, :, ::2].copy().view(np.int32))
    assert np.abs(result - image)[:, :, 1::2].mean() < 0.1 * np.abs(uneven - image)[:, :, 1::2].mean()
    for untouched in (through(uneven, None, scale, lambda x: x[:1], find=False), through(uneven, uneven < -9e9, scale, lambda x: x[:1])):
        assert np.array_equal(untouched["pred"][0].numpy(), uneven) and not untouched["report"].get("rescaled")


@pytest.mark.parametrize("dtype", [np.float64, np.int16])
def test_outside_the_mask_any_type_of_voxels_stays_as_it_is(dtype: type) -> None:
    image = (scan().astype(np.float64) * 1.0000000001 + 1e-7).astype(dtype)
    hole = blob(image.shape, (20, 24, 18), 12)
    result = through(image, hole, NormalizeMRd("image"), lambda x: x[:1] * 1.5)["pred"][0].numpy()
    assert result.dtype == dtype and np.array_equal(result[~hole], image[~hole]) and not np.array_equal(result[hole], image[hole])


def test_another_fill_has_a_channel_of_noise_by_its_number() -> None:
    image = scan()
    hole = blob(image.shape, (20, 24, 18), 12)
    one, same, other = (chain(NormalizeMRd("image"), fill=n)[0](data(image, hole))["image"] for n in (1, 1, 2))
    assert one.shape[0] == 3 and torch.equal(one, same)
    assert torch.equal(one[:2], other[:2]) and not torch.equal(one[2], other[2])


def test_masks_that_do_not_fit_are_refused() -> None:
    image = scan()
    with pytest.raises(ValueError, match="shape"):
        OpenHolesd("image")({**data(image), "mask": MetaTensor(torch.ones(1, 3, 3, 3))})
    with pytest.raises(ValueError, match="nothing is left"):
        OpenHolesd("image")(data(image, np.ones(image.shape, dtype=bool)))
