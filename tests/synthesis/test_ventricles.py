from __future__ import annotations

import pytest

from medgen.anatomy.ventricles import scale_ventricles
from medgen.synthesis.ventricles import NORMAL, WORDS, Ventricles, nearest, ventricles
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
