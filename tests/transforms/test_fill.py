from __future__ import annotations

import numpy as np
import pytest

from medgen.transforms.fill import smooth_fill
from medgen.transforms.holes import blob, slab


def ramp(shape: tuple[int, int, int] = (24, 20, 16)) -> np.ndarray:
    x, y, z = np.mgrid[: shape[0], : shape[1], : shape[2]].astype(np.float32)
    return 0.02 * x - 0.01 * y + 0.03 * z + 0.5


@pytest.mark.parametrize("hole", [slab((24, 20, 16), 0, 9, 3), blob((24, 20, 16), (12, 10, 8), 9)])
def test_a_ramp_is_continued_through_the_hole(hole: np.ndarray) -> None:
    image = ramp()
    error = np.abs(smooth_fill(np.where(hole, 0, image), hole) - image)
    assert error[:, 5:-5, 5:-5].max() < 2e-3 and error.max() < 0.03  # at the border of the image it levels out


def test_known_voxels_keep_every_bit_and_what_is_in_the_hole_has_no_say() -> None:
    rng = np.random.RandomState(0)
    image = rng.standard_normal((20, 20, 20)).astype(np.float32)
    hole = blob(image.shape, (9, 10, 11), 8)
    one, other = smooth_fill(image, hole), smooth_fill(np.where(hole, 1e4, image), hole)
    assert np.array_equal(one[~hole], image[~hole])
    assert np.array_equal(one, other)


def test_extremes_have_an_answer() -> None:
    image = ramp((9, 8, 7))
    nothing, everything = np.zeros(image.shape, bool), np.ones(image.shape, bool)
    assert np.array_equal(smooth_fill(image, nothing), image)
    assert not smooth_fill(image, everything).any()
    almost = everything.copy()
    almost[0] = False
    assert np.isfinite(smooth_fill(image, almost)).all()
    single = np.ones((6, 6, 1), dtype=np.float32)
    hole = np.zeros(single.shape, bool)
    hole[2:4, 2:4] = True
    assert np.allclose(smooth_fill(np.where(hole, 0, single), hole), 1, atol=1e-4)


def test_it_comes_near_biharmonic_inpainting() -> None:
    from scipy.ndimage import gaussian_filter
    from skimage.restoration import inpaint_biharmonic

    image = gaussian_filter(np.random.RandomState(1).standard_normal((28, 28, 28)), 2.5).astype(np.float32)
    hole = blob(image.shape, (14, 14, 14), 9)
    empty = np.where(hole, 0, image)

    def error(filled: np.ndarray) -> float:
        return float(np.sqrt(np.mean((filled - image)[hole] ** 2)))

    harmonic = error(smooth_fill(empty, hole, stiffness=0.0))
    assert error(smooth_fill(empty, hole)) < min(harmonic, 1.15 * error(inpaint_biharmonic(empty.astype(float), hole)))
