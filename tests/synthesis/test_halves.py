"""Sides of a class map that has none, against the sided labels that it was made from."""

from __future__ import annotations

import numpy as np
import pytest

from medgen.anatomy.classes import classes_of
from medgen.anatomy.lesions import place_lesion
from medgen.anatomy.sides import PAIRS, midplane
from medgen.synthesis.halves import symmetry_plane, with_sides
from tests.anatomy.phantom import head


def turned(affine: np.ndarray, degrees: tuple[float, float, float]) -> np.ndarray:
    turn = np.eye(4)
    for axis, angle in enumerate(np.deg2rad(degrees)):
        a, b = (i for i in range(3) if i != axis)
        one = np.eye(4)
        one[a, a] = one[b, b] = np.cos(angle)
        one[a, b], one[b, a] = -np.sin(angle), np.sin(angle)
        turn = turn @ one
    return turn @ affine


@pytest.mark.parametrize("axes", ["RAS", "PSR", "LPS"])
@pytest.mark.parametrize("degrees", [(0, 0, 0), (10, 15, -15), (-15, -8, 12)])
def test_the_plane_of_a_turned_head(axes: str, degrees: tuple[float, float, float]) -> None:
    labels, affine = head(mm=4, axes=axes)
    affine = turned(affine, degrees)
    normal, offset = symmetry_plane(classes_of(labels, "freesurfer"), affine)
    truly, at = midplane(labels, affine, "freesurfer")
    assert np.degrees(np.arccos(min(normal @ truly, 1))) < 1.5
    middle = affine[:3, :3] @ ((np.array(labels.shape) - 1) / 2) + affine[:3, 3]
    assert abs((middle @ normal - offset) - (middle @ truly - at)) < 1


@pytest.mark.parametrize("axes", ["RAS", "PSR", "LPS"])
def test_sides_are_those_of_the_labels(axes: str) -> None:
    labels, affine = head(mm=4, axes=axes)
    found = with_sides(classes_of(labels, "freesurfer"), turned(affine, (5, -10, 10)))
    left, right = (np.isin(labels, numbers) for numbers in zip(*PAIRS["freesurfer"]))
    said_left, said_right = (np.isin(found, numbers) for numbers in zip(*PAIRS["freesurfer"]))
    assert (said_right[left].mean(), said_left[right].mean()) < (0.02, 0.02)
    assert said_left[left].mean() > 0.95 and said_right[right].mean() > 0.95


def test_a_large_lesion_moves_no_side_and_gets_the_tissue_around_it() -> None:
    labels, affine = head()
    lesion = place_lesion(labels, affine, "freesurfer", 30, kind="tumour-like", side="right", place="white matter", seed=3).labels
    classes = classes_of(lesion, "freesurfer")
    normal, offset = symmetry_plane(classes, affine)
    truly, at = midplane(labels, affine, "freesurfer")
    assert normal @ truly > np.cos(np.deg2rad(2)) and abs(offset - at) < 2
    there = np.isin(classes, (13, 14, 15, 16))
    assert np.isin(with_sides(classes, affine)[there], (41, 42, 49, 50, 51, 52)).mean() > 0.95


def test_the_ventricles_are_the_lateral_ones_and_the_third() -> None:
    labels, affine = head()
    found = with_sides(classes_of(labels, "freesurfer"), affine)
    assert np.isin(found[np.isin(labels, (4, 43))], (4, 43)).mean() > 0.9
    assert np.isin(found[np.isin(labels, (14, 15))], (14, 15)).mean() > 0.8  # the phantom's fourth lies in white matter


def test_too_little_brain_is_refused() -> None:
    with pytest.raises(ValueError, match="too little brain"):
        symmetry_plane(np.zeros((20, 20, 20), np.uint8), np.eye(4))
