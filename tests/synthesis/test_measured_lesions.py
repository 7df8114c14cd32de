"""Lesions whose side, place, size and kind are known, in labels and in images painted from them."""

from __future__ import annotations

import numpy as np
import pytest

from medgen.anatomy.classes import classes_of
from medgen.anatomy.lesions import place_lesion
from medgen.anatomy.places import PLACES, place_mask
from medgen.synthesis.lesions import Measured, measure_lesions, places_around, said
from medgen.text.spec import Lesion, Range
from tests.anatomy.phantom import head
from tests.synthesis.phantom import painted


def one(**changed: object) -> Measured:
    return Measured(**({"kind": "ms-like", "side": "left", "place": "frontal", "diameter_mm": 5.0, "volume_ml": 0.1,
                        "centre_mm": (0, 0, 0), "oedema": None} | changed))  # type: ignore[arg-type]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "side", "place", "diameter"),
    [("ms-like", "left", "frontal", 14), ("tumour-like", "right", "white matter", 30), ("stroke-like", "left", "thalamus", 12)],
)
def test_side_place_size_and_kind_of_a_placed_lesion(kind: str, side: str, place: str, diameter: float) -> None:
    labels, affine = head()
    edited = place_lesion(labels, affine, "freesurfer", diameter, kind=kind, side=side, place=place, seed=2)
    (found,) = measure_lesions(classes_of(edited.labels, "freesurfer"), labels, affine, "freesurfer")
    assert (found.kind, found.side) == (kind, side)
    assert found.places[place] > 0.95
    assert found.diameter_mm == pytest.approx(edited.report["obtained_mm"], abs=0.06)
    assert found.volume_ml == pytest.approx(edited.report["obtained_ml"], abs=0.001)
    assert found.oedema is (True if kind == "tumour-like" else None)


@pytest.mark.parametrize("contrast", ["T1", "T2", "FLAIR"])
def test_the_size_comes_from_the_image_where_the_map_only_says_where(contrast: str) -> None:
    labels, affine = head()
    edited = place_lesion(labels, affine, "freesurfer", 18, side="left", place="white matter", seed=4)
    image = painted(edited.labels, "freesurfer", contrast)
    there = np.argwhere(edited.labels == 901)
    centre = there[np.abs(there - there.mean(0)).sum(1).argmin()]
    marked = labels.copy()
    marked[tuple(slice(c - 1, c + 2) for c in centre)] = 901  # a cube in its middle
    marked = np.where(edited.labels == 901, marked, labels)
    classes = classes_of(marked, "freesurfer")
    (found,) = measure_lesions(classes, labels, affine, "freesurfer", image=image)
    (by_map,) = measure_lesions(classes, labels, affine, "freesurfer")
    truth = edited.report["obtained_mm"]
    assert abs(found.diameter_mm - truth) < abs(by_map.diameter_mm - truth)
    (whole,) = measure_lesions(classes_of(edited.labels, "freesurfer"), labels, affine, "freesurfer", image=image)
    assert whole.diameter_mm == pytest.approx(truth, abs=3.1)  # a voxel


def test_places_are_those_of_anatomy() -> None:
    labels, affine = head(mm=4)
    box = (slice(12, 24), slice(10, 30), slice(15, 30))
    found = places_around(labels, affine, "freesurfer", box)
    for place in PLACES:
        try:
            wanted = place_mask(labels, affine, "freesurfer", place)[box]
        except ValueError:
            wanted = np.zeros(1, bool)
        assert np.array_equal(found[place], wanted) if wanted.any() else place not in found, place


def test_a_lesion_across_the_midline_has_no_side() -> None:
    labels, affine = head()
    middle = np.array(labels.shape) // 2
    marked = labels.copy()
    marked[middle[0] - 3 : middle[0] + 3, middle[1] + 20 : middle[1] + 23, middle[2] + 4 : middle[2] + 7] = 901
    (found,) = measure_lesions(classes_of(marked, "freesurfer"), labels, affine, "freesurfer")
    assert found.side is None


def test_alike_lesions_are_said_together_and_too_many_without_their_places() -> None:
    assert said([one(), one(diameter_mm=8.0), one(side="right")]) == [
        Lesion(kind="ms-like", side="left", place="frontal", diameter_mm=Range(low=5, high=8), count=2),
        Lesion(kind="ms-like", side="right", place="frontal", diameter_mm=5, count=1),
    ]
    many = [one(side=side, place=place) for side in ("left", "right") for place in PLACES]
    assert [(entry.side, entry.place, entry.count) for entry in said(many)] == [
        ("left", None, Range(low=19, high=19)), ("right", None, Range(low=19, high=19)),
    ]  # fmt: skip
    assert said([one()] * 150)[0].count == Range(low=100)
