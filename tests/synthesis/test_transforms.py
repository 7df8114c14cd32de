from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from medgen.synthesis.transforms import AcquireScand


def ramp(shape: tuple[int, int, int], affine: np.ndarray) -> MetaTensor:
    """Return an image whose voxels are a linear function of their world position."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1)
    world = index @ affine[:3, :3].T + affine[:3, 3]
    return MetaTensor(torch.from_numpy((1000 + world @ [1.0, 2.0, -3.0])[None].astype(np.float32)), affine=torch.from_numpy(affine))


def acquired(voxel_mm: list[float], motion: float = 0.0) -> MetaTensor:
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = [-30, 10, 5]
    order = json.dumps({"motion": motion, "voxel_mm": voxel_mm, "seed": 1, "report": {"spec": {}}})
    done = AcquireScand("pred")({"pred": ramp((20, 24, 26), affine), "order": order})
    assert done["report"] == {"spec": {}}
    return done["pred"]


@pytest.mark.parametrize("voxel_mm", [[2, 2, 2], [2, 2, 5], [4, 2, 2], [3, 3, 6]])
def test_thick_slices_lie_where_their_affine_says(voxel_mm: list[float]) -> None:
    made = acquired(voxel_mm)
    assert np.diag(made.affine.numpy())[:3] == pytest.approx(voxel_mm)
    expected = ramp(tuple(made.shape[1:]), made.affine.numpy())  # type: ignore[arg-type]
    np.testing.assert_allclose(np.asarray(made), np.asarray(expected), atol=0.6)  # box slices end within voxels


def test_classes_are_acquired_on_the_grid_of_the_image() -> None:
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    classes = torch.zeros(1, 20, 24, 26, dtype=torch.uint8)
    classes[:, 6:15, :, 6:] = 14
    order = json.dumps({"motion": 2.0, "voxel_mm": [3, 2, 6], "seed": 1, "report": {}})
    done = AcquireScand("pred")({"pred": ramp((20, 24, 26), affine), "order": order, "classes": MetaTensor(classes, affine=torch.from_numpy(affine))})
    assert done["classes"].shape == done["pred"].shape and torch.equal(done["classes"].affine, done["pred"].affine)
    assert done["classes"].dtype == torch.uint8 and set(np.unique(done["classes"])) == {0, 14}
    assert int((done["classes"] == 14).sum()) * 3 * 2 * 6 == pytest.approx(int((classes == 14).sum()) * 8, rel=0.1)


def test_motion_blurs_and_finer_voxels_are_not_made() -> None:
    assert np.abs(np.asarray(acquired([2, 2, 2], 3.0)) - np.asarray(acquired([2, 2, 2]))).mean() > 1
    assert acquired([1, 1, 1]).shape == acquired([2, 2, 2]).shape
