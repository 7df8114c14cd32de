from __future__ import annotations

import numpy as np
import pytest
import torch

from medgen.transforms.holes import RandHolesd, blob, cuboid, hole_input, random_hole, slab

SHAPE = (48, 40, 32)


def test_a_slab_is_whole_slices() -> None:
    hole = slab(SHAPE, 1, 7, 3)
    assert hole.sum() == 3 * 48 * 32 and hole[:, 7:10].all()
    assert slab(SHAPE, 2, -1, 3)[:, :, :2].all() and slab(SHAPE, 2, -1, 3).sum() == 2 * 48 * 40


@pytest.mark.parametrize("diameter", [8.0, 16.0, 24.0])
def test_a_blob_has_its_diameter_in_mm(diameter: float) -> None:
    hole = blob(SHAPE, (24, 20, 16), diameter, (1.0, 1.0, 2.0))
    assert hole.sum() * 2.0 == pytest.approx(np.pi / 6 * diameter**3, rel=0.1)
    extent = [int(hole.any(axis=tuple(b for b in range(3) if b != a)).sum()) for a in range(3)]
    assert extent[0] == pytest.approx(diameter, abs=1.1) and extent[2] == pytest.approx(diameter / 2, abs=1.1)


def test_a_warped_blob_is_no_ball_but_as_large() -> None:
    ball = blob(SHAPE, (24, 20, 16), 20)
    sizes = [blob(SHAPE, (24, 20, 16), 20, rng=np.random.RandomState(seed)).sum() for seed in range(8)]
    assert len(set(sizes)) == 8
    assert 0.5 * ball.sum() < np.mean(sizes) < 1.7 * ball.sum()


def test_shapes_outside_of_the_image_are_empty_or_cut() -> None:
    assert not blob(SHAPE, (100, 20, 16), 8).any()
    assert cuboid(SHAPE, (0, 0, 0), (4, 4, 4)).sum() == 8


def test_random_holes_leave_something_and_come_in_kinds() -> None:
    rng = np.random.RandomState(0)
    image = np.zeros((32, 32, 32), dtype=np.float32)
    image[8:24, 8:24, 8:24] = 1
    holes = [random_hole(image, rng) for _ in range(60)]
    shares = np.array([hole.mean() for hole in holes])
    assert (shares > 0).mean() > 0.95 and shares.max() < 0.6
    slabs = [any(hole.all(axis=tuple(b for b in range(3) if b != a)).any() for a in range(3)) for hole in holes]
    assert 0.3 < np.mean(slabs) < 0.8


def test_the_transform_gives_input_truth_and_mask_and_repeats_itself() -> None:
    image = torch.rand(1, 32, 32, 32)
    first, second = (RandHolesd("image").set_random_state(3)({"image": image}) for _ in range(2))
    assert torch.equal(first["image"], second["image"]) and torch.equal(first["label"], second["label"])
    seen, (truth, mask) = first["image"], first["label"]
    assert seen.shape == (2, 32, 32, 32) and torch.equal(truth, image[0]) and torch.equal(seen[1], mask)
    assert torch.equal(seen[0][mask == 0], truth[mask == 0]) and 0 < mask.mean() < 1
    assert not torch.equal(seen[0][mask == 1], truth[mask == 1])


def test_noise_is_in_the_input_alone() -> None:
    image = torch.rand(1, 32, 32, 32)
    out = RandHolesd("image", prob_noise=1.0, sigma=0.2).set_random_state(0)({"image": image})
    known = out["label"][1] == 0
    assert torch.equal(out["label"][0], image[0]) and not torch.equal(out["image"][0][known], image[0][known])


def test_the_input_does_not_tell_what_is_in_the_hole() -> None:
    image = np.random.RandomState(0).uniform(size=(16, 16, 16)).astype(np.float32)
    hole = blob(image.shape, (8, 8, 8), 6)
    assert np.array_equal(hole_input(image, hole), hole_input(np.where(hole, -7, image), hole))
