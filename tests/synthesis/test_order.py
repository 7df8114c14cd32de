from __future__ import annotations

import pytest

from medgen.synthesis.order import voxels
from medgen.text.parse import parse


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("T1", (2, 2, 2)), ("axial T1", (2, 2, 3)), ("sagittal T2", (3, 2, 2)), ("coronal FLAIR, 5 mm slices", (2, 5, 2)),
        ("axial T1, 1 mm slices", (1, 1, 1)), ("T1, 1 x 1 x 4 mm voxels", (1, 1, 4)), ("sagittal T1, voxels of 1 x 1 x 4 mm", (4, 1, 1)),
    ],
)  # fmt: skip
def test_voxels_go_with_the_plane(text: str, wanted: tuple[float, float, float]) -> None:
    assert voxels(parse(text).spec) == wanted
