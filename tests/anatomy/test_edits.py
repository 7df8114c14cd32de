"""Ventricles, atrophy and midline: what was asked for is what is counted in the new map, and the rest stays."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import label

from medgen.anatomy.atrophy import lose_tissue
from medgen.anatomy.classes import classes_of
from medgen.anatomy.flow import Edited, jacobian, warp_by_field
from medgen.anatomy.midline import shift_midline
from medgen.anatomy.sides import millilitres, rightward, within_skull
from medgen.anatomy.ventricles import scale_ventricles
from tests.anatomy.phantom import head


def check_deformation(labels: np.ndarray, affine: np.ndarray, scheme: str, edited: Edited) -> None:
    """What every deformation holds: skull and type kept, at rest there, no folds, no new numbers, the field is what was done."""
    assert edited.field is not None and edited.labels.dtype == labels.dtype
    outside = ~within_skull(labels, scheme)
    assert np.array_equal(edited.labels[outside], labels[outside]) and np.abs(edited.field[outside]).max() == 0
    assert np.array_equal(within_skull(edited.labels, scheme), ~outside)
    assert jacobian(edited.field, affine).min() > 0 and edited.report["smallest_jacobian"] > 0
    assert set(np.unique(edited.labels)) <= set(np.unique(labels))
    assert np.array_equal(warp_by_field(labels, edited.field, affine, "nearest"), edited.labels)


@pytest.mark.parametrize(
    ("scheme", "factor", "side", "axes"),
    [("freesurfer", 2.5, None, "RAS"), ("freesurfer", 0.4, "bilateral", "PSR"), ("dlmuse", 2.0, "left", "LPS"), ("dlmuse", 0.5, "right", "PSR")],
)  # fmt: skip
def test_ventricles_get_their_factor_and_the_other_side_keeps_its_own(scheme: str, factor: float, side: str | None, axes: str) -> None:
    labels, affine = head(scheme, 4.0, axes)
    edited = scale_ventricles(labels, affine, scheme, factor, side)
    check_deformation(labels, affine, scheme, edited)
    left, right = (4, 43) if scheme == "freesurfer" else (52, 51)
    for number, own in ((left, "left"), (right, "right")):
        now, then = (labels_ == number for labels_ in (edited.labels, labels))
        both = side in (None, "bilateral")
        wanted = factor if both or side == own else 1.0
        # one flow moves both, so that each comes a little less close than their sum; a pushed ventricle loses voxels by rounding
        assert now.sum() / then.sum() == pytest.approx(wanted, rel=0.02 if side == own else 0.06)
        assert label(now)[1] == label(then)[1] == 1
    chosen = [left] if side == "left" else [right] if side == "right" else [left, right]
    assert edited.report["obtained_ml"] == pytest.approx(millilitres(np.isin(edited.labels, chosen), affine), abs=1e-3)
    assert edited.report["obtained_factor"] == pytest.approx(factor, rel=0.02)


@pytest.mark.parametrize(
    ("factor", "side", "message"),
    [(20, None, "outside of 0.2 to 10"), (2, "port", "no side 'port'")],
)  # fmt: skip
def test_ventricles_that_cannot_be_are_refused(factor: float, side: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scale_ventricles(*head(mm=4.0), "freesurfer", factor, side)


def test_a_head_without_room_says_how_far_it_goes() -> None:
    labels, affine = head(mm=4.0)
    labels[~np.isin(labels, (4, 43, 10, 49, 11, 50, 12, 51))] = 0  # what is left is not ten times the ventricles
    with pytest.raises(ValueError, match="they end at .* times their volume"):
        scale_ventricles(labels, affine, "freesurfer", 10)


@pytest.mark.parametrize(("loss", "side", "place"), [(0.06, None, None), (0.1, "left", None), (0.1, "right", "temporal")])
def test_tissue_is_lost_where_it_was_asked_and_fluid_takes_its_room(loss: float, side: str | None, place: str | None) -> None:
    labels, affine = head(mm=4.0)
    edited = lose_tissue(labels, affine, "freesurfer", loss, side=side, place=place)
    check_deformation(labels, affine, "freesurfer", edited)
    report = edited.report
    assert report["obtained_loss"] == pytest.approx(loss, abs=0.005)
    assert report["before_ml"] - report["obtained_ml"] == pytest.approx(loss * report["before_ml"], rel=0.1)
    tissue = (2, 3, 41, 42, 10, 49, 8, 47)
    lost = {n: 1 - (edited.labels == n).sum() / (labels == n).sum() for n in tissue}
    if side is None:
        assert sum(millilitres(np.isin(m, tissue), affine) for m in (labels, edited.labels)) > 0
        assert all(0 < lost[n] < 2 * loss for n in (2, 41, 3, 42))
    elif place is None:
        assert min(lost[2], lost[3]) > 0.05 and max(abs(lost[41]), abs(lost[42])) < 0.02
    fluid = classes_of(labels, "freesurfer") == 9, classes_of(edited.labels, "freesurfer") == 9
    assert fluid[1].sum() > fluid[0].sum() and report["outer_fluid_after_ml"] > report["outer_fluid_before_ml"]


@pytest.mark.parametrize(("loss", "message"), [(0.5, "outside of 0 to 0.3"), (-0.1, "outside of 0 to 0.3")])
def test_a_loss_out_of_range_is_refused(loss: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lose_tissue(*head(mm=4.0), "freesurfer", loss)


def test_atrophy_needs_fluid() -> None:
    labels, affine = head()
    labels[labels == 24] = 515
    with pytest.raises(ValueError, match="no fluid"):
        lose_tissue(labels, affine, "freesurfer", 0.05)


@pytest.mark.parametrize(("mm", "toward", "axes", "scheme"), [(8, "left", "RAS", "freesurfer"), (15, "right", "PSR", "dlmuse")])
def test_the_midline_moves_as_far_as_asked_and_to_the_side(mm: float, toward: str, axes: str, scheme: str) -> None:
    labels, affine = head(scheme, 4.0, axes)
    edited = shift_midline(labels, affine, scheme, mm, toward)
    check_deformation(labels, affine, scheme, edited)
    assert edited.report["obtained_mm"] == pytest.approx(mm, abs=0.05)
    distance = rightward(labels, affine, scheme)
    third = 14 if scheme == "freesurfer" else 4  # in the middle: moves nearly all of it
    moved = distance[edited.labels == third].mean() - distance[labels == third].mean()
    assert 0.7 * mm < (moved if toward == "right" else -moved) < mm + 2  # half a voxel


def test_no_shift_is_no_change_and_impossible_ones_are_refused() -> None:
    labels, affine = head(mm=4.0)
    assert np.array_equal(shift_midline(labels, affine, "freesurfer", 0, "left").labels, labels)
    for mm, toward, message in ((40, "left", "outside of 0 to 30"), (5, "up", "no side 'up'")):
        with pytest.raises(ValueError, match=message):
            shift_midline(labels, affine, "freesurfer", mm, toward)
