from __future__ import annotations

import numpy as np
import pytest

from medgen.anatomy.ventricles import scale_ventricles
from medgen.synthesis.ventricles import NORMAL, WORDS, Ventricles, nearest, outlined, ventricles
from medgen.text.spec import Ventricles as Said
from tests.anatomy.phantom import head


def of(left: float, right: float) -> Ventricles:
    """Return ventricles of that many times the normal on each side."""
    return Ventricles(left * NORMAL * 600, right * NORMAL * 600, 1200)


@pytest.mark.parametrize("factor", WORDS)
def test_a_factor_with_a_word_is_said_as_it_is(factor: float) -> None:
    assert of(factor, factor).said() == Said(factor=factor)
    assert of(factor, factor).factor == pytest.approx(factor)


@pytest.mark.parametrize(("factor", "word"), [(0.3, 0.6), (0.7, 0.6), (0.8, 1), (1.2, 1), (1.3, 1.5), (1.8, 2), (2.6, 3), (9, 3)])
def test_the_nearest_word(factor: float, word: float) -> None:
    assert nearest(factor) == word


def test_one_side_is_named_where_the_two_are_unequal() -> None:
    assert of(3, 1).said() == Said(factor=3, side="left")
    assert of(1, 3).said() == Said(factor=3, side="right")
    assert of(1, 0.3).said() == Said(factor=0.6, side="right")
    assert of(1.3, 1).said() == Said(factor=1) and of(0, 0).said() is None


def test_age_is_a_band_and_unknown_outside_of_what_was_seen() -> None:
    band, older = of(1, 1).age(), of(2, 2).age()
    assert band is not None and older is not None and band.high - band.low == pytest.approx(16.4, abs=1)
    assert older.low > band.low
    assert of(4, 4).age() is None and of(0.1, 0.1).age() is None


def test_volumes_of_a_map_before_and_after_it_was_scaled() -> None:
    labels, affine = head()
    before = ventricles(labels, affine, "freesurfer")
    after = ventricles(scale_ventricles(labels, affine, "freesurfer", 2, "left").labels, affine, "freesurfer")
    assert after.left_ml / before.left_ml == pytest.approx(2, rel=0.05)
    assert after.right_ml / before.right_ml == pytest.approx(1, rel=0.05)
    with pytest.raises(ValueError, match="no brain"):
        ventricles(labels * 0, affine, "freesurfer")


def cavity(radius: float, wrong: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a ball of fluid in white matter, voxels of 2 mm, and a map that draws it too wide or too narrow by `wrong` mm."""
    grid = 2.0 * np.stack(np.meshgrid(*(np.arange(40) - 20,) * 3, indexing="ij"))
    away = np.sqrt((grid**2).sum(0))
    return away <= radius, np.where(away <= radius + wrong, 3, 2).astype(np.uint8)


@pytest.mark.parametrize("fluid", [200.0, 2000.0])
@pytest.mark.parametrize("wrong", [-4.0, 0.0, 4.0])
def test_an_outline_goes_where_the_image_is_halfway(fluid: float, wrong: float) -> None:
    truth, classes = cavity(12.0, wrong)
    image = np.where(truth, fluid, 500.0) + np.random.RandomState(0).standard_normal(truth.shape) * 40
    found = outlined(image, classes, np.diag([2.0, 2.0, 2.0, 1.0]))
    assert found.dtype == classes.dtype and set(np.unique(found)) == {2, 3}
    assert ((found == 3) != truth).sum() < 0.01 * truth.sum()


def test_most_of_a_map_may_be_tissue_a_little_darker_than_around_it() -> None:
    truth, classes = cavity(8.0, 6.0)
    truth = np.roll(truth, 3, axis=0)  # the fluid is at the edge of what the map takes for it
    image = np.where(truth, 2000.0, np.where(classes == 3, 460.0, 500.0)) + np.random.RandomState(0).standard_normal(truth.shape) * 10
    found = outlined(image, classes, np.diag([2.0, 2.0, 2.0, 1.0]))
    assert ((found == 3) != truth).sum() < 0.02 * truth.sum()


def test_an_outline_moves_by_five_millimetres_at_most_and_into_what_surrounds_it_alone() -> None:
    classes = np.full((40, 40, 40), 2, np.uint8)
    classes[10:20, 10:30, 10:30] = 3
    image = np.where(classes == 3, 200.0, 500.0)
    image[20:26, 10:30, 10:30] = 200.0  # 12 mm more of it that the map has missed
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    assert np.argwhere(outlined(image, classes, affine) == 3).max(0).tolist() == [21, 29, 29]
    classes[20:26, 20:30] = 7  # cerebellum
    found = outlined(image, classes, affine)
    assert (found[20:22, 10:20, 10:30] == 3).all() and (found[20:26, 20:30] == 7).all()


def test_what_has_no_ventricles_or_no_contrast_stays_as_it_is() -> None:
    truth, classes = cavity(12.0, 4.0)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    assert outlined(np.full(truth.shape, 500.0), classes, affine) is classes
    assert outlined(truth * 1.0, np.where(classes == 3, 2, classes), affine).max() == 2
    assert outlined(truth * 1.0, np.where(classes == 2, 0, classes), affine).max() == 3  # nothing around it to compare with
