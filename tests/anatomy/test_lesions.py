from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import label

from medgen.anatomy.classes import classes_of
from medgen.anatomy.lesions import KINDS, longest, place_lesion
from medgen.anatomy.places import place_mask
from medgen.anatomy.sides import rightward, side_mask
from tests.anatomy.phantom import head


@pytest.mark.parametrize(
    ("mm", "kind", "side", "place"),
    [(12, "ms-like", "left", "frontal"), (8, "ms-like", "right", "periventricular"), (40, "stroke-like", "right", "parietal"),
     (30, "tumour-like", "left", "temporal"), (10, "stroke-like", "left", "cerebellum"), (7, "unspecified", None, None)],
)  # fmt: skip
@pytest.mark.parametrize("scheme", ["freesurfer", "dlmuse"])
def test_a_lesion_has_its_size_side_and_place(mm: float, kind: str, side: str | None, place: str | None, scheme: str) -> None:
    labels, affine = head(scheme, 2.0 if mm < 20 else 3.0, "PSR")
    if scheme == "dlmuse" and place in ("parietal", "temporal"):  # the phantom's DLMUSE labels are all of the frontal lobe
        place = "frontal"
    edited = place_lesion(labels, affine, scheme, mm, kind=kind, side=side, place=place, seed=3)
    mask = edited.labels == KINDS[kind].number
    assert longest(mask, affine) == pytest.approx(mm, abs=np.linalg.norm(affine[:3, 0]))
    assert edited.report["obtained_mm"] == pytest.approx(longest(mask, affine), abs=1e-3)
    assert label(mask)[1] == 1 and side_mask(labels, affine, scheme, side)[mask].all()
    if place:
        assert place_mask(labels, affine, scheme, place)[mask].all()
    if side:
        assert (rightward(labels, affine, scheme)[mask].mean() > 0) == (side == "right")
    oedema = edited.labels == 904
    assert oedema.any() == (kind == "tumour-like")
    assert (classes_of(labels, scheme)[oedema] == 2).all() and side_mask(labels, affine, scheme, side)[oedema].all()
    same = ~(mask | oedema)
    assert np.array_equal(edited.labels[same], labels[same]) and edited.field is None


def test_the_seed_tells_the_lesion() -> None:
    labels, affine = head()
    one, same, other = (place_lesion(labels, affine, "freesurfer", 15, seed=seed).labels for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_lesions_add_up() -> None:
    labels, affine = head()
    first = place_lesion(labels, affine, "freesurfer", 12, side="left", seed=1).labels
    second = place_lesion(first, affine, "freesurfer", 20, kind="tumour-like", side="left", seed=2).labels
    assert np.array_equal(second == 901, first == 901)


def test_a_lesion_that_does_not_fit_says_what_would() -> None:
    labels, affine = head()
    with pytest.raises(ValueError, match=r"left thalamus of 40 mm does not fit here; the largest that does has (\d+)") as caught:
        place_lesion(labels, affine, "freesurfer", 40, kind="stroke-like", side="left", place="thalamus")
    largest = float(str(caught.value).split("has ")[1].split()[0])
    thalamus = longest(labels == 10, affine)
    assert 0.7 * thalamus < largest <= thalamus + 1e-6


@pytest.mark.parametrize(
    ("mm", "kind", "message"),
    [(0.1, "ms-like", "outside of 0.5 to 120"), (5, "wart", "no kind 'wart' of lesion; choose from: ms-like")],
)  # fmt: skip
def test_impossible_lesions_are_refused(mm: float, kind: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        place_lesion(*head(mm=4.0), "freesurfer", mm, kind=kind)


@pytest.mark.parametrize(("box", "wanted"), [((1, 1, 1), 2.0), ((5, 1, 1), 10.0), ((4, 4, 1), 6 * 2**0.5 + 2)])
def test_the_longest_diameter(box: tuple[int, int, int], wanted: float) -> None:
    mask = np.zeros((9, 9, 9), bool)
    mask[tuple(slice(1, 1 + n) for n in box)] = True
    assert longest(mask, np.diag([2.0, 2.0, 2.0, 1.0])) == pytest.approx(wanted)
    assert longest(np.zeros((3, 3, 3)), np.eye(4)) == 0


def test_maps_without_sides_take_lesions_too_but_no_side() -> None:
    labels, affine = head(mm=4.0)
    classes = classes_of(labels, "freesurfer")
    edited = place_lesion(classes, affine, "medgen", 20, kind="tumour-like", seed=1)
    assert (edited.labels == 903).any() and (edited.labels == 904).any()
    for side, place in (("left", None), (None, "periventricular")):
        with pytest.raises(ValueError, match="have no sides"):
            place_lesion(classes, affine, "medgen", 20, side=side, place=place)
