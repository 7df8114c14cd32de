"""What a sentence means to `simulate`, on label maps whose lesions are balls of known places and sizes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import RandomState
from scipy.ndimage import label

from medgen.anatomy.lesions import longest
from medgen.anatomy.sides import millilitres, world
from medgen.anatomy.surgery import ball
from medgen.batch.operation_text import TOUCHING, Named, named, oedema_of, parts_of
from medgen.text.parse import parse
from medgen.text.spec import Lesion
from tests.anatomy.phantom import head

MM = 2.0
LABELS, AFFINE = head(mm=MM)
LEFT = world(AFFINE, LABELS.shape)[..., 0] < 3  # the phantom's midplane
#: balls of the left frontal lobe, of 8 and 20 mm, whose voxels' longest diameters are 9.48 and 21.8 mm; and one of 8 mm as far from the midplane on the right
SMALL, LARGE, RIGHT = (ball(AFFINE, LABELS.shape, at, mm) for at, mm in (((-17, 35, 50), 8), ((-29, 35, 22), 20), ((23, 35, 50), 8)))


def lesions(text: str) -> list[Lesion]:
    return parse(text).spec.lesions or []


def meant(text: str, *masks: np.ndarray, oedema: bool = False) -> Named:
    """Return what a text means in the phantom with strokes where the masks are."""
    labels = LABELS.copy()
    for mask in masks:
        labels[mask] = 902
    return named(lesions(text), labels, AFFINE, "freesurfer", seed=0, oedema=oedema)


def pieces(mask: np.ndarray) -> list[np.ndarray]:
    parts, count = label(mask, TOUCHING)
    return [parts == number for number in range(1, count + 1)]


@pytest.mark.parametrize(
    ("text", "sizes", "on_left"),
    [
        ("bilateral frontal lesions of 16 mm", 16, [True, False]),
        ("双侧额叶16毫米梗死", 16, [True, False]),
        ("two 12 mm lesions in the left frontal lobe", 12, [True, True]),
        ("two 12 mm lesions in the right frontal lobe", 12, [False, False]),
        ("three bilateral 12 mm strokes", 12, [True, True, False]),
        ("12 mm stroke in the left frontal lobe and 12 mm tumour in the left frontal lobe", 12, [True, True]),
    ],
)  # fmt: skip
def test_regions_are_as_many_as_is_said_and_on_the_sides_that_are_said(text: str, sizes: float, on_left: list[bool]) -> None:
    found = meant(text)
    parts = pieces(found.mask)
    shares = sorted((LEFT[part].mean() for part in parts), reverse=True)
    assert shares == pytest.approx([float(side) for side in on_left])  # none reaches over the midplane
    assert all(longest(part, AFFINE) == pytest.approx(sizes, abs=MM) for part in parts)
    assert sum(one["obtained_ml"] for one in found.told) == pytest.approx(millilitres(found.mask, AFFINE), abs=1e-3)
    assert all("what is removed was drawn there" in warning for warning in found.warnings) and found.warnings


def test_of_the_lesions_of_a_map_that_one_is_meant_that_has_the_size() -> None:
    for text, mask in (
        ("8 mm lesion in the left frontal lobe", SMALL), ("左额叶8毫米梗死", SMALL), ("one 10 mm stroke on the left", SMALL),
        ("20 mm lesion in the left frontal lobe", LARGE), ("stroke over 16 mm on the left", LARGE), ("strokes of 5 to 12 mm on the left", SMALL),
        ("8 mm and 20 mm strokes in the left frontal lobe", SMALL | LARGE), ("two strokes in the left frontal lobe", SMALL | LARGE),
        ("two bilateral 8 mm strokes", SMALL | RIGHT), ("8 mm bilateral frontal strokes", SMALL | RIGHT), ("8 mm stroke on the right", RIGHT),
    ):  # fmt: skip
        found = meant(text, SMALL, LARGE, RIGHT)
        assert np.array_equal(found.mask, mask), text
        assert found.warnings == [] and sum(one["ml"] for one in found.told) == pytest.approx(millilitres(mask, AFFINE), abs=1e-3)
    several = meant("strokes in the left frontal lobe", SMALL, LARGE, RIGHT)
    assert np.array_equal(several.mask, SMALL | LARGE) and "2 lesions of the label map" in several.warnings[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("14 mm lesion in the left frontal lobe", "1 left frontal lesion.* 9.48 mm left, 21.8 mm left; none of them fit.*--remove MASK"),
        ("stroke in the left frontal lobe", "2 of them fit, and which are meant is not told"),
        ("8 mm stroke", "9.48 mm left, 9.48 mm right, 21.8 mm left; 2 of them fit, and which"),
        ("three strokes in the left frontal lobe", "3 left frontal stroke-like.* 2 of them fit"),
        ("two 8 mm strokes on the left", "1 of them fits"),
        ("20 mm bilateral strokes", "what fits is on the left alone"),
        ("stroke under 6 mm on the left", "none of them fit"),
        ("two tumours in the left frontal lobe", "has no 2 left frontal tumour-like lesion.*or a size"),
        ("tumour on the left", "has no 1 left tumour-like lesion"),
        ("tumour over 16 mm on the left", "at least 16 mm is open at one end; say one, such as '16 mm'"),
        ("tumour under 9 mm on the left", "up to 9 mm is open at one end"),
    ],
)  # fmt: skip
def test_what_the_map_does_not_have_or_does_not_tell_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        meant(text, SMALL, LARGE, RIGHT)


def test_without_lesions_and_size_the_whole_place_is_meant_and_told() -> None:
    found = meant("tumour in the left frontal lobe", SMALL)
    assert LEFT[found.mask].all() and found.told[0]["ml"] == pytest.approx(millilitres(found.mask, AFFINE), abs=1e-3)
    assert "the whole place was removed" in found.warnings[0]


def test_oedema_goes_with_the_lesion_that_it_is_nearest_to() -> None:
    labels = LABELS.copy()
    for at in ((-29, 35, 22), (35, -30, 35)):
        for number, mm in ((904, 26), (903, 16)):
            labels[ball(AFFINE, labels.shape, at, mm)] = number
    own, other = ((labels == 904) & side for side in (LEFT, ~LEFT))
    tumour = (labels == 903) & LEFT
    assert own.sum() > 100 and other.sum() > 100 and np.array_equal(oedema_of(tumour, labels, AFFINE), own)
    for text, goes, oedema in (
        ("tumour on the left", False, False), ("tumour on the left", True, True), ("tumour with oedema on the left", True, False),
        ("tumour without oedema on the left", False, True),
    ):  # fmt: skip
        found = named(lesions(text), labels, AFFINE, "freesurfer", seed=0, oedema=oedema)
        assert np.array_equal(found.mask, tumour | own if goes else tumour), text
        assert found.told[0]["oedema_ml"] == pytest.approx(millilitres(own, AFFINE) if goes else 0, abs=1e-3)
    labels = np.where(labels == 904, 2, labels)
    assert "no oedema" in named(lesions("tumour with oedema on the left"), labels, AFFINE, "freesurfer", seed=0, oedema=False).warnings[0]


def test_a_part_of_an_entry_has_a_side_and_a_size_within_its_range() -> None:
    found = parts_of(lesions("four bilateral strokes of 6 to 9 mm")[0], RandomState(0))
    assert [side for side, _ in found] == ["left", "right", "left", "right"] and all(6 <= mm <= 9 for _, mm in found)
    assert len({mm for _, mm in found}) == 4
    with pytest.raises(ValueError, match="say the lesion's size"):
        parts_of(lesions("left stroke")[0], RandomState(0))
