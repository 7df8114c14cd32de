from __future__ import annotations

import numpy as np
import pytest

from medgen.anatomy.sinuses import CEREBELLUM, CORTEX, FLUID, SINUS, with_sinuses


def head(spacing: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Return a ball of cortex of 70 mm radius with a cerebellum at the lower back, 4 mm of fluid and bone around it."""
    n = round(180 / spacing)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = -90
    x, y, z = np.meshgrid(*(-90 + spacing * np.arange(n),) * 3, indexing="ij")
    r = np.sqrt(x**2 + y**2 + z**2)
    classes = np.zeros((n, n, n), np.uint8)
    classes[r < 82] = 10
    classes[r < 74] = FLUID
    classes[r < 70] = CORTEX
    classes[(r < 70) & (y < -10) & (z < -25)] = CEREBELLUM
    return classes, affine


def places(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    return np.argwhere(mask) @ affine[:3, :3].T + affine[:3, 3]


def test_the_sagittal_sinus_runs_along_the_midplane_over_the_vault() -> None:
    classes, affine = head()
    found = places(with_sinuses(classes, affine) == SINUS, affine)
    above = found[found[:, 2] > 10]
    assert np.abs(above[:, 0]).max() <= 4
    assert above[:, 1].min() < -60 and above[:, 1].max() > 60  # from the occiput to the forehead
    radius = np.linalg.norm(above, axis=1)
    assert radius.min() >= 69 and radius.max() <= 76


def test_the_transverse_sinuses_run_where_the_tentorium_meets_the_skull_on_both_sides() -> None:
    classes, affine = head()
    found = places(with_sinuses(classes, affine) == SINUS, affine)
    aside = found[(np.abs(found[:, 0]) > 10) & (found[:, 1] < -20)]  # the phantom's cerebellum ends at -10, where a brainstem would be
    assert np.abs(aside[:, 2] + 25).max() <= 10
    assert (aside[:, 0] > 30).any() and (aside[:, 0] < -30).any()


def test_nothing_else_changes_and_no_brain_is_lost() -> None:
    classes, affine = head()
    out = with_sinuses(classes, affine)
    changed = out != classes
    assert (out[changed] == SINUS).all() and np.isin(classes[changed], (FLUID, 10)).all()


def test_another_midplane_moves_the_sagittal_sinus() -> None:
    classes, affine = head()
    found = places(with_sinuses(classes, affine, middle=6.0) == SINUS, affine)
    above = found[found[:, 2] > 10]
    assert abs(above[:, 0].mean() - 6.0) < 1


@pytest.mark.parametrize("spacing", [1.5, 3.0])
def test_the_volume_does_not_hang_on_the_voxels(spacing: float) -> None:
    volumes = []
    for step in (2.0, spacing):
        classes, affine = head(step)
        volumes.append((with_sinuses(classes, affine) == SINUS).sum() * step**3 / 1000)
    assert volumes[1] == pytest.approx(volumes[0], rel=0.35)
    assert 5 < volumes[0] < 40  # ml


def test_a_map_without_a_brain_or_without_a_cerebellum_has_none_or_the_sagittal_one() -> None:
    classes, affine = head()
    assert not (with_sinuses(np.zeros_like(classes), affine) == SINUS).any()
    found = places(with_sinuses(np.where(classes == CEREBELLUM, CORTEX, classes), affine) == SINUS, affine)
    assert np.abs(found[:, 0]).max() <= 4
