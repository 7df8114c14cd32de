from __future__ import annotations

import numpy as np
import pytest
import torch

from medgen.anatomy.flow import Room, Unreachable, jacobian, motion, warp_by_field
from medgen.anatomy.sides import world

SPACING = np.array([2.0, 2.0, 2.0])


def ball(radius: float, size: int = 41) -> np.ndarray:
    index = np.indices((size,) * 3) - size // 2
    return np.asarray(np.linalg.norm(index * 2.0, axis=0) <= radius)


def test_what_grows_in_the_middle_of_a_ball_moves_as_it_must() -> None:
    # div v = 1/V1 in the core, -1/(V - V1) around it: v(r) = (1 - (r^3 - a^3) / (R^3 - a^3)) / (4 pi r^2)
    core, all_of_it = ball(12), ball(36)
    room = Room(all_of_it, SPACING)
    rate = core / core.sum() - (all_of_it & ~core) / (all_of_it & ~core).sum()
    velocity = -room.velocity(rate[room.box]).numpy()
    middle = velocity.shape[1] // 2
    out = velocity[0, middle:, middle, middle]
    r = np.arange(len(out)) * 2.0
    true = np.where(r < 12, r / 12**3, (1 - (r**3 - 12**3) / (36**3 - 12**3)) / np.maximum(r, 1) ** 2)
    shell = (r > 3) & (r < 28) & (np.abs(r - 12) > 2)
    np.testing.assert_allclose(out[shell] / out[8], true[shell] / true[8], atol=0.1)
    assert np.abs(velocity[:, ~room.mask]).max() == 0


def test_a_flow_stops_at_its_target_or_says_how_far_it_came() -> None:
    room = Room(ball(36), SPACING)
    along = torch.zeros(3, *room.mask.shape)
    along[0] = torch.from_numpy(room.ramp)
    shift = room.follow(lambda _: along, lambda u: float(u[0].max()), 2.7)
    assert float(shift[0].max()) == pytest.approx(2.7, abs=2e-3)
    assert np.abs(room.field(shift, np.diag([2.0, 2.0, 2.0, 1.0]))[~ball(36)]).max() == 0
    with pytest.raises(Unreachable) as caught:
        room.follow(lambda _: along, lambda u: min(float(u[0].max()), 3.0), 5.0)
    assert caught.value.value == pytest.approx(3.0)


def test_a_field_in_world_mm_moves_an_image_as_it_says() -> None:
    affine = np.array([[0, 0, 3.0, 5], [-2, 0, 0, 1], [0, 1.5, 0, 0], [0, 0, 0, 1]])
    image = world(affine, (12, 14, 10))[..., 1]  # each voxel's y
    field = np.zeros((*image.shape, 3), np.float32)
    field[3:8, 3:8, 3:8, 1] = 1.25
    for mode in ("cubic", "linear"):
        moved = warp_by_field(image, field, affine, mode)
        np.testing.assert_allclose(moved - image, field[..., 1], atol=0.02)
    labels = warp_by_field(np.rint(image).astype(np.int16), np.zeros_like(field), affine, "nearest")
    assert labels.dtype == np.int16 and np.array_equal(labels, np.rint(image))


def test_the_jacobian_is_that_of_a_scaling() -> None:
    affine = np.diag([2.0, 1.0, 3.0, 1.0])
    field = world(affine, (8, 8, 8)) * np.float32(-0.1)
    np.testing.assert_allclose(jacobian(field, affine), 0.9**3, rtol=1e-4)
    assert motion(np.zeros_like(field), affine) == {"largest_displacement_mm": 0.0, "smallest_jacobian": 1.0}


def test_nothing_to_deform_is_refused() -> None:
    with pytest.raises(ValueError, match="no brain"):
        Room(np.zeros((4, 4, 4), bool), SPACING)
