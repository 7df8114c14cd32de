from __future__ import annotations

import numpy as np
import pytest
from numpy.random import RandomState

from medgen.transforms.motion import motion


def test_no_motion_changes_nothing_and_more_of_it_more() -> None:
    image = np.zeros((32, 32, 32), np.float32)
    image[8:24, 8:24, 8:24] = 1
    assert motion(image, 0, RandomState(0)) is image
    errors = [np.mean([np.abs(motion(image, voxels, RandomState(seed)) - image).mean() for seed in range(4)]) for voxels in (0.25, 0.5, 1)]
    assert errors == sorted(errors) and errors[0] > 1e-3


def test_the_mean_stays() -> None:
    image = RandomState(1).uniform(1, 2, (16, 18, 20)).astype(np.float32)
    assert motion(image, 1.0, RandomState(2)).mean() == pytest.approx(image.mean(), rel=0.02)  # the centre of k-space does not move
