from __future__ import annotations

import numpy as np
import torch

from medgen.transforms.contrast_lesions import GAINS, RandContrastLesionsd
from medgen.transforms.style import LEVEL


def head(missing: int | None = None) -> np.ndarray:
    """Return T1, T2 and FLAIR of white matter within cortex within air."""
    x, y, z = np.ogrid[:32, :32, :32]
    radius = np.sqrt((x - 16) ** 2 + (y - 16) ** 2 + (z - 16) ** 2)
    out = np.stack([np.select([radius < 10, radius < 13], [LEVEL, grey], 0) for grey in (0.35, 0.75, 0.62)]).astype(np.float32)
    if missing is not None:
        out[missing] = -1
    return out


def painted(scans: np.ndarray, seed: int = 0) -> np.ndarray:
    make = RandContrastLesionsd("scans", prob=1.0)
    make.set_random_state(seed)
    return np.asarray(make({"scans": torch.from_numpy(scans)})["scans"])


def test_a_lesion_is_dark_in_t1_and_bright_in_t2_and_flair_at_the_same_places() -> None:
    scans = head()
    change = np.where(scans > 0, painted(scans) / np.maximum(scans, 1e-6) - 1, 0)
    lesion = change[1] > 0.02
    assert 5 < lesion.sum() < 0.2 * (scans[0] == np.float32(LEVEL)).sum()
    for gain, one in zip(GAINS, change):
        assert np.sign(gain) * one[lesion].mean() > 0.005
        assert np.abs(np.corrcoef(one[lesion], change[1][lesion])[0, 1]) > 0.99  # one severity, one outline
    assert (change[0] >= 1.4 * 1.4 * GAINS[0] - 1e-5).all() and (change[1] <= 1.4 * 1.4 * GAINS[1] + 1e-5).all()


def test_air_and_a_missing_contrast_stay_as_they_are() -> None:
    scans = head(missing=0)
    out = painted(scans)
    assert (out[0] == -1).all() and (out[1:, 0] == 0).all() and (out[1] != scans[1]).any()


def test_without_white_matter_nothing_is_painted() -> None:
    scans = head() * 1.5
    assert np.array_equal(painted(scans), scans)


def test_the_same_seed_paints_the_same() -> None:
    assert np.array_equal(painted(head(), 3), painted(head(), 3))
    assert not np.array_equal(painted(head(), 3), painted(head(), 4))
