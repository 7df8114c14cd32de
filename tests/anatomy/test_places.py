from __future__ import annotations

import numpy as np
import pytest

from medgen.anatomy.frame import fit, frame, landmarks, to_frame
from medgen.anatomy.places import BY_LABEL, LOBES, PLACES, lobe_map, place_mask
from medgen.anatomy.sides import world
from medgen.text.spec import Place
from tests.anatomy.phantom import head


def test_every_place_of_a_sentence_is_a_place_here() -> None:
    assert set(PLACES) == set(Place.__args__)  # type: ignore[attr-defined]


def test_the_frame_is_symmetric_and_small() -> None:
    marks = frame()["landmarks"]
    np.testing.assert_allclose(marks[:18:2] * [-1, 1, 1], marks[1:18:2], atol=1e-6)
    assert (marks[:18:2, 0] < 0).all()  # left is -x
    lobes, affine = frame()["lobes"], frame()["affine"]
    where = world(affine, lobes.shape)
    front, back = (where[lobes == n, 1].mean() for n in (LOBES.index("frontal") + 1, LOBES.index("occipital") + 1))
    assert front > 20 and back < -30


def test_a_head_is_laid_into_the_frame_wherever_it_is() -> None:
    labels, affine = head()
    move = np.eye(4)
    move[:3, :3] = np.diag([1.1, 0.9, 1.0])
    move[:3, 3] = 30, -20, 10
    one, other = to_frame(labels, affine, "freesurfer"), to_frame(labels, move @ affine, "freesurfer")
    np.testing.assert_allclose(other @ move, one, atol=1e-4)
    marks = landmarks(labels, affine, "freesurfer")
    assert np.abs(marks @ one[:3, :3].T + one[:3, 3] - frame()["landmarks"]).mean() < 8
    points = np.random.default_rng(0).normal(size=(9, 3))
    np.testing.assert_allclose(fit(points, points @ move[:3, :3].T + move[:3, 3]), move, atol=1e-8)


def test_lobes_by_the_atlas_lie_where_lobes_lie() -> None:
    labels, affine = head()
    lobes, where = lobe_map(labels, affine, "freesurfer"), world(affine, labels.shape)
    assert not lobes[~np.isin(labels, (2, 3, 41, 42))].any() and lobes[np.isin(labels, (2, 3, 41, 42))].all()
    centre = {lobe: where[lobes == n].mean(0) for n, lobe in enumerate(LOBES, 1)}
    assert centre["frontal"][1] > centre["parietal"][1] > centre["occipital"][1]
    assert centre["temporal"][2] < centre["frontal"][2] and centre["temporal"][2] < centre["parietal"][2]


def test_lobes_by_labels() -> None:
    labels = np.array([[[81, 82, 84, 85, 88, 102, 199, 95, 93, 51]]])
    assert lobe_map(labels, np.eye(4), "dlmuse")[0, 0].tolist() == [1, 1, 4, 2, 3, 5, 2, 0, 2, 0]  # 93 goes with 199, 95 with none
    assert lobe_map(np.array([[[1028, 2029, 2035, 1011]]]), np.eye(4), "freesurfer")[0, 0].tolist() == [1, 2, 5, 4]


def test_places_hold_what_they_say() -> None:
    labels, affine = head()
    for place, numbers in (("cerebellum", (7, 8, 46, 47)), ("brainstem", (16,)), *((p, BY_LABEL[p]["freesurfer"]) for p in ("thalamus", "hippocampus"))):
        assert np.array_equal(place_mask(labels, affine, "freesurfer", place), np.isin(labels, numbers))
    white = place_mask(labels, affine, "freesurfer", "white matter")
    for place in ("periventricular", "juxtacortical"):
        part = place_mask(labels, affine, "freesurfer", place)
        assert part.any() and not part[~white].any() and part.sum() < white.sum()
    joined = place_mask(labels, affine, "freesurfer", "frontoparietal")
    lobes = lobe_map(labels, affine, "freesurfer")
    assert set(np.unique(lobes[joined])) == {1, 2}


@pytest.mark.parametrize(("place", "message"), [("elbow", "no place 'elbow'; choose from: frontal"), ("corpus callosum", "has no corpus callosum")])
def test_what_is_no_place_is_refused(place: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        place_mask(*head(mm=4.0), "freesurfer", place)


def test_a_map_without_structures_cannot_be_laid() -> None:
    with pytest.raises(ValueError, match="2 of the 23 structures"):
        to_frame(np.array([[[2, 41, 0]]]), np.eye(4), "freesurfer")
