from __future__ import annotations

import json
from collections.abc import Hashable

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from monai.transforms import Transform
from numpy.random import RandomState
from scipy.ndimage import center_of_mass, gaussian_filter

from medgen.transforms.augment import RandElasticd, RandLowResolutiond, RandSpiked, augmentation

SHAPE = (32, 36, 28)
NAMES = [type(t).__name__ for t in augmentation("image").transforms[2:]]  # one of the three flips


def case() -> dict[Hashable, torch.Tensor]:
    """A smooth asymmetric image and the label map of its bright parts."""
    image = gaussian_filter(RandomState(0).rand(*SHAPE), 3)
    image = ((image - image.min()) / np.ptp(image)).astype(np.float32)
    affine = torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0], dtype=torch.float64))
    return {
        "image": MetaTensor(torch.from_numpy(image)[None], affine=affine),
        "label": MetaTensor(torch.from_numpy((image > 0.5) * 7.0 + (image > 0.7) * 30.0).float()[None], affine=affine),
    }


def only(index: int, strength: float = 1.0) -> Transform:
    return augmentation("image", "label", strength=strength, prob=1.0).transforms[2 + index]


def test_the_recipe_holds_every_transform_of_the_issue() -> None:
    wanted = "Flip Affine Elastic AdjustContrast ContrastCurve BiasField LowResolution GibbsNoise Spike"
    assert [n.removeprefix("Rand").removesuffix("d") for n in NAMES] == wanted.split()


@pytest.mark.parametrize("index", range(len(NAMES)), ids=NAMES)
def test_each_transform_is_reproducible_and_does_something(index: int) -> None:
    first, again = (only(index).set_random_state(3)(case()) for _ in range(2))
    assert torch.equal(first["image"], again["image"]) and torch.equal(first["label"], again["label"])
    others = [only(index).set_random_state(s)(case())["image"] for s in range(4, 12)]
    assert any(not torch.equal(first["image"], other) for other in others)
    assert any(not torch.equal(case()["image"], other) for other in others)


@pytest.mark.parametrize("index", range(len(NAMES)), ids=NAMES)
def test_each_transform_keeps_shape_type_and_finiteness(index: int) -> None:
    for seed in range(3):
        out = only(index).set_random_state(seed)(case())
        for key in ("image", "label"):
            assert isinstance(out[key], MetaTensor)
            assert out[key].shape == (1, *SHAPE) and out[key].dtype == torch.float32
            assert torch.isfinite(out[key]).all()


@pytest.mark.parametrize("index", range(3, len(NAMES)), ids=NAMES[3:])
def test_intensity_leaves_the_label_map(index: int) -> None:
    assert torch.equal(only(index).set_random_state(0)(case())["label"], case()["label"])


@pytest.mark.parametrize("index", range(3), ids=NAMES[:3])
def test_the_label_map_follows_the_image(index: int) -> None:
    for seed in range(4):
        transform = augmentation(["image", "inside"], "label", prob=1.0).transforms[2 + index]
        out = transform.set_random_state(seed)({**case(), "inside": torch.ones(1, *SHAPE)})
        label = out["label"]
        assert set(label.unique().tolist()) <= {0.0, 7.0, 37.0}
        clear = (out["image"] - 0.5).abs() > 0.12  # where interpolation cannot move the image over the threshold
        clear &= out["inside"] > 0.999
        assert (clear & (label > 0)).sum() > 300 and (clear & (label == 0)).sum() > 300
        assert torch.equal((label > 0)[clear], (out["image"] > 0.5)[clear])


def test_the_whole_recipe_is_reproducible_and_varies() -> None:
    runs = [augmentation(["image"], ["label"], prob=0.7).set_random_state(s) for s in (1, 1, 2)]
    first, again, other = ([run(case()) for _ in range(3)] for run in runs)
    for a, b in zip(first, again):
        assert torch.equal(a["image"], b["image"]) and torch.equal(a["label"], b["label"])
    assert not torch.equal(first[0]["image"], other[0]["image"])
    assert not torch.equal(first[0]["image"], first[1]["image"])


def test_zero_strength_is_the_identity() -> None:
    out = augmentation("image", "label", strength=0.0, prob=1.0).set_random_state(0)(case())
    assert torch.equal(out["image"], case()["image"]) and torch.equal(out["label"], case()["label"])


@pytest.mark.parametrize("index", range(1, len(NAMES)), ids=NAMES[1:])
def test_a_little_strength_changes_little(index: int) -> None:
    def change(strength: float) -> float:
        outs = [only(index, strength).set_random_state(s)(case())["image"] for s in range(3)]
        return max(float((out - case()["image"]).abs().mean()) for out in outs)

    assert change(0.02) < 0.2 * change(1.0)


def test_no_flip_where_sides_matter() -> None:
    names = [type(t).__name__ for t in augmentation("image", flip_axes=()).transforms]
    assert names == NAMES[1:]


@pytest.mark.parametrize("bad", [{"strength": 1.5}, {"strength": -0.1}, {"prob": 2.0}])
def test_values_out_of_range_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        augmentation("image", **bad)


def test_a_bundle_may_name_it() -> None:
    recipe = {"_target_": "medgen.transforms.augment.augmentation", "keys": "image", "label_keys": ["label"], "prob": 1}
    compose = ConfigParser(json.loads(json.dumps({"recipe": recipe}))).get_parsed_content("recipe")
    assert compose.set_random_state(0)(case())["image"].shape == (1, *SHAPE)


@pytest.mark.parametrize("index", range(len(NAMES)), ids=NAMES)
def test_all_images_of_a_case_share_what_is_drawn(index: int) -> None:
    transform = augmentation(["one", "two"], prob=1.0).transforms[2 + index].set_random_state(5)
    for _ in range(3):
        out = transform({"one": case()["image"], "two": case()["image"]})
        assert torch.equal(out["one"], out["two"])


def test_elastic_moves_no_voxel_too_far_and_never_folds() -> None:
    ramps = {
        a: torch.arange(64.0).reshape([64 if a == b else 1 for b in "xyz"]).expand(64, 64, 64)[None] for a in "xyz"
    }
    for seed in range(3):
        out = RandElasticd(list("xyz"), prob=1.0, displacement=4.0).set_random_state(seed)(ramps)
        inner = [out[a][0, 5:-5, 5:-5, 5:-5].numpy() for a in "xyz"]
        moved = max(float(np.abs(m - np.asarray(ramps[a])[0, 5:-5, 5:-5, 5:-5]).max()) for m, a in zip(inner, "xyz"))
        assert 1.0 < moved <= 4.0 + 1e-3
        jacobian = np.stack([np.stack(np.gradient(m)) for m in inner])
        assert np.linalg.det(np.moveaxis(jacobian, (0, 1), (-2, -1))).min() > 0.1


def test_elastic_refuses_keys_of_different_shapes() -> None:
    with pytest.raises(ValueError, match="'b' has shape"):
        RandElasticd(["a", "b"], prob=1.0)({"a": torch.zeros(1, 8, 8, 8), "b": torch.zeros(1, 8, 8, 9)})


@pytest.mark.parametrize("n", [16, 48])
def test_a_spike_has_its_amplitude_at_any_size(n: int) -> None:
    image = torch.zeros(1, n, n, n)
    out = RandSpiked("image", prob=1.0, amplitude=(0.05, 0.05)).set_random_state(1)({"image": image})["image"]
    assert float(out.abs().max()) == pytest.approx(0.05, rel=0.02)


def test_a_spike_without_amplitude_is_refused() -> None:
    with pytest.raises(ValueError, match="0 < low <= high"):
        RandSpiked("image", amplitude=(0.0, 0.1))


@pytest.mark.parametrize("zoom", [0.5, 0.7])
def test_low_resolution_does_not_shift_the_image(zoom: float) -> None:
    ball = gaussian_filter(np.pad(np.ones((6, 6, 6), np.float32), 13), 1.5)
    out = RandLowResolutiond("image", prob=1.0, zoom_range=(zoom, zoom))({"image": torch.from_numpy(ball)[None]})
    np.testing.assert_allclose(center_of_mass(out["image"][0].numpy()), center_of_mass(ball), atol=0.1)
    assert float(out["image"].max()) < ball.max()
