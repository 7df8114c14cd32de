from __future__ import annotations

import numpy as np
import pytest
from numpy.random import RandomState

from medgen.anatomy.generator import drawn
from medgen.anatomy.lesions import longest
from medgen.synthesis.order import _drawn, order, voxels
from medgen.text.parse import parse
from medgen.text.spec import Range


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("T1", (2, 2, 2)), ("axial T1", (2, 2, 3)), ("sagittal T2", (3, 2, 2)), ("coronal FLAIR, 5 mm slices", (2, 5, 2)),
        ("axial T1, 1 mm slices", (1, 1, 1)), ("T1, 1 x 1 x 4 mm voxels", (1, 1, 4)), ("sagittal T1, voxels of 1 x 1 x 4 mm", (4, 1, 1)),
    ],
)  # fmt: skip
def test_voxels_go_with_the_plane(text: str, wanted: tuple[float, float, float]) -> None:
    assert voxels(parse(text).spec) == wanted


@pytest.mark.parametrize("seed", [0, 3])
def test_what_is_told_of_lesion_and_ventricles_is_so_in_the_map_that_is_painted(seed: int) -> None:
    ordered = order(parse("T2 of a 60-year-old man, large ventricles, one 8 mm stroke in the left parietal lobe, midline shift").spec, seed)
    edits = {edit.get("edit", "drawn"): edit for edit in ordered.report["edits"]}
    assert np.array_equal(ordered.affine[:3, :3], 2 * np.eye(3)) and not (ordered.affine[:3, 3] % 2).any()
    assert edits["midline shift"]["toward"] == "right"  # away from the stroke; by chance it would be the left with both seeds
    infarct = ordered.classes == 14
    assert longest(infarct, ordered.affine) == pytest.approx(edits["lesion"]["obtained_mm"], abs=1e-3)
    assert infarct.sum() * 0.008 == pytest.approx(edits["lesion"]["obtained_ml"], abs=1e-4)
    ventricles = (ordered.classes == 3).sum() * 0.008  # the third and fourth are a few ml more
    assert edits["ventricles"]["obtained_ml"] < ventricles < edits["ventricles"]["obtained_ml"] + 6


def test_a_walk_from_brain_to_brain_stays_on_one_lattice() -> None:
    spec = parse("T1 of a 60-year-old man").spec
    first = order(spec, 1)
    last = order(spec, 1, like=first, shape=drawn(2))
    assert np.array_equal(first.affine, last.affine) and first.classes.shape == last.classes.shape


@pytest.mark.parametrize(
    "wanted, low, high",
    [(Range(low=16), 16, 20), (Range(high=4), 3.2, 4), (Range(low=9), 9, 15), (Range(low=3, high=4), 3, 4), (None, 5, 15)],
)
def test_an_open_end_leaves_room_beyond_the_one_that_is_told(wanted: Range | None, low: float, high: float) -> None:
    drawn = [_drawn(wanted, RandomState(seed), 5, 15) for seed in range(200)]
    assert low <= min(drawn) < low + 0.1 * (high - low) and high - 0.1 * (high - low) < max(drawn) <= high
