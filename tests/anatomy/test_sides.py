from __future__ import annotations

import numpy as np
import pytest

from medgen.anatomy.sides import PAIRS, midplane, millilitres, rightward, side_mask
from tests.anatomy.phantom import AXES, head


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("scheme", PAIRS)
def test_the_midplane_is_found_in_any_orientation(axes: str, scheme: str) -> None:
    labels, affine = head(scheme, 4.0, axes)
    normal, offset = midplane(labels, affine, scheme)
    np.testing.assert_allclose(normal, [1, 0, 0], atol=0.02)  # right is +x in RAS
    assert abs(offset - 3) < 0.5


def test_a_turned_head_turns_its_midplane() -> None:
    labels, affine = head("freesurfer", 4.0)
    angle = np.deg2rad(12)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    normal, _ = midplane(labels, turn @ affine, "freesurfer")
    np.testing.assert_allclose(normal, [np.cos(angle), np.sin(angle), 0], atol=0.02)


@pytest.mark.parametrize(("scheme", "left", "right", "single"), [("freesurfer", 2, 41, 16), ("dlmuse", 82, 81, 35)])
def test_sides_go_by_labels_and_else_by_the_midplane(scheme: str, left: int, right: int, single: int) -> None:
    labels, affine = head(scheme, 4.0, "PSR")
    found = side_mask(labels, affine, scheme, "left")
    assert found[labels == left].all() and not found[labels == right].any()
    half = (labels == single) & found
    assert half.any() and (rightward(labels, affine, scheme)[half] < 0).all()
    assert side_mask(labels, affine, scheme, None).all() and side_mask(labels, affine, scheme, "bilateral").all()


def test_volumes_are_in_ml() -> None:
    assert millilitres(np.ones((10, 10, 10)), np.diag([2.0, 1.0, 3.0, 1.0])) == pytest.approx(6)


@pytest.mark.parametrize(
    ("scheme", "side", "message"), [("medgen", "left", "have no sides; use a map in one of: freesurfer, dlmuse"), ("dlmuse", "port", "no side 'port'")]
)  # fmt: skip
def test_what_has_no_side_is_refused(scheme: str, side: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        side_mask(np.ones((3, 3, 3), int), np.eye(4), scheme, side)


def test_a_map_without_pairs_has_no_midplane() -> None:
    with pytest.raises(ValueError, match="0 pairs of left and right"):
        midplane(np.ones((3, 3, 3), int), np.eye(4), "dlmuse")
