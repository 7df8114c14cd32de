from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from medgen.evaluation.likeness import NAMES, features, fit, score


def head(seed: int) -> np.ndarray:
    """A ball of smooth tissue in air."""
    rng = np.random.RandomState(seed)
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, 48),) * 3, indexing="ij"))
    inside = (grid**2).sum(0) < 0.6 + 0.1 * rng.uniform()
    tissue = 600 + 900 * gaussian_filter(rng.standard_normal(inside.shape), 2)
    return np.where(inside, np.clip(tissue, 100, 1200), 0) + 5 * np.abs(rng.standard_normal(inside.shape))


KNOWN = fit([features(head(seed), (1, 1, 1)) for seed in range(8)], None)


def test_scans_like_those_of_the_training_pass() -> None:
    assert all(score(features(head(seed), (1, 1, 1)), KNOWN)[0] < KNOWN["limit"] for seed in range(20, 40))


@pytest.mark.parametrize(
    ("damage", "odd"),
    [
        (lambda x: x - 1024.0, {"below zero", "brightest", "10th percentile"}),
        (lambda x: x.max() - x, {"air", "10th percentile", "median", "90th percentile", "brightest"}),
        (lambda x: x + 150 * np.random.RandomState(0).standard_normal(x.shape), {"noise", "gradient", "below zero", "10th percentile"}),
    ],
)
def test_other_modalities_contrasts_and_noise_are_found_and_named(damage: object, odd: set[str]) -> None:
    unlike, name = score(features(damage(head(30)), (1, 1, 1)), KNOWN)  # type: ignore[operator]
    assert unlike > KNOWN["limit"] and name in odd


def test_units_without_meaning_do_not_matter_and_voxels_do() -> None:
    np.testing.assert_allclose(features(head(1) * 37, (1, 1, 1)), features(head(1), (1, 1, 1)), atol=1e-4)
    unlike, name = score(features(head(30), (1, 1, 40)), KNOWN)
    assert unlike > KNOWN["limit"] and name == "anisotropy"


def test_what_is_kept_is_json_and_empty_or_constant_images_have_features() -> None:
    assert json.loads(json.dumps(KNOWN)) == KNOWN
    for image in (np.zeros((5, 5, 5)), np.full((1, 4, 1), 7.0), np.full((3, 3, 3), -1000.0)):
        assert np.isfinite(features(image, (1, 1, 1))).all() and len(features(image, (1, 1, 1))) == len(NAMES)
