from __future__ import annotations

import numpy as np
import torch

from medgen.anatomy.flow import jacobian, warp
from medgen.anatomy.register import FINE, SIZE, TISSUES, fine_grid, integrate, into_frame, register, soft
from medgen.anatomy.sides import midplane
from tests.anatomy.phantom import head


def test_a_head_in_the_frame_keeps_its_labels_and_sides() -> None:
    labels, affine = head("dlmuse", 3.0, "PSR")
    fine = into_frame(labels, affine, "dlmuse")
    assert fine.shape == SIZE and set(np.unique(fine)) == set(np.unique(labels))
    normal, offset = midplane(fine, fine_grid(), "dlmuse")
    np.testing.assert_allclose(normal, [1, 0, 0], atol=0.02)
    assert abs(offset) < FINE
    parts = soft(fine, "dlmuse")
    assert parts.shape == (len(TISSUES), *(n // 2 for n in SIZE))
    np.testing.assert_allclose(parts.sum(0), 1, atol=1e-4)


def test_a_flow_turned_around_leads_back() -> None:
    rng = np.random.default_rng(0)
    bumps = np.stack([np.outer(np.hanning(20), np.hanning(20))[..., None] * np.hanning(20) * rng.uniform(1, 2) for _ in range(3)]).astype(np.float32)
    there, back = integrate(torch.from_numpy(bumps)), integrate(torch.from_numpy(-bumps))
    assert float((there + warp(back, there)).abs().max()) < 0.05  # of 2 voxels


def test_balls_of_two_sizes_are_laid_on_each_other() -> None:
    far = np.linalg.norm(np.indices((24, 24, 24)) - 11.5, axis=0)
    small, large = (np.stack([1 - 1 / (1 + np.exp(far - r)), *[0 * far] * 7, 1 / (1 + np.exp(far - r))]).astype(np.float32) for r in (6, 8))
    velocity = register(large, small)
    shift = integrate(torch.from_numpy(velocity))
    moved = warp(torch.from_numpy(small), shift).numpy()
    assert np.abs(moved - large).mean() < 0.2 * np.abs(small - large).mean()
    assert jacobian(np.moveaxis(shift.numpy(), 0, -1), np.eye(4)).min() > 0
