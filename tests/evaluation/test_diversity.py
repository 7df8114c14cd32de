from __future__ import annotations

import numpy as np
import pytest

from medgen.evaluation.diversity import memorised, nearest, pairwise_ms_ssim, richness, uniformity, vendi_score


def test_the_vendi_score_counts_what_differs() -> None:
    assert vendi_score(np.eye(7) * 3) == pytest.approx(7)
    assert vendi_score(np.tile([1.0, 2.0, 3.0], (9, 1))) == pytest.approx(1)
    assert vendi_score(np.repeat(np.eye(4), 5, axis=0)) == pytest.approx(4)  # copies add nothing
    assert vendi_score(np.zeros((5, 3))) == pytest.approx(1)


def test_richness_counts_directions() -> None:
    rng = np.random.default_rng(0)
    assert richness(np.concatenate([np.eye(6), -np.eye(6)])) == pytest.approx(6)
    assert richness(5 + np.outer(rng.standard_normal(50), [1.0, -2.0, 0.5])) == pytest.approx(1)
    assert richness(np.full((5, 3), 0.1)) == 0.0


def test_uniformity_where_it_is_known() -> None:
    assert uniformity(np.tile([0.0, 4.0], (6, 1))) == pytest.approx(0)
    assert uniformity(np.array([[1.0, 0.0], [-3.0, 0.0]])) == pytest.approx(-8)  # opposite: |x - y|^2 is 4
    rng = np.random.default_rng(0)
    everywhere, cap = rng.standard_normal((200, 3)), 3 + rng.standard_normal((200, 3))
    assert uniformity(everywhere) < uniformity(cap) < 0


def test_pairwise_ms_ssim() -> None:
    rng = np.random.default_rng(0)
    images = [rng.random((24, 24)).astype(np.float32) for _ in range(4)]
    assert pairwise_ms_ssim([images[0]] * 3) == pytest.approx(1)
    assert pairwise_ms_ssim(images) < 0.5  # type: ignore[operator]
    assert pairwise_ms_ssim([images[0], images[0], images[1]], ["a", "a", "b"]) < 0.5  # type: ignore[operator]  # a with a is no pair
    assert pairwise_ms_ssim(images[:2], ["a", "a"]) is None


def test_nearest() -> None:
    distances, which = nearest(np.array([[0.0, 0.0], [10.0, 0.0]]), np.array([[0.0, 3.0], [10.0, 0.0]]))
    assert distances.tolist() == [3.0, 0.0] and which.tolist() == [0, 1]


def test_copies_of_training_images_are_found() -> None:
    rng = np.random.default_rng(0)
    training = rng.standard_normal((100, 8))
    names = [f"sub-{number}" for number in range(100)]
    copies = training[:10] + 0.01 * rng.standard_normal((10, 8))
    distances, which, near = memorised(np.concatenate([copies, rng.standard_normal((50, 8))]), training, names)
    assert near is not None and which[:10].tolist() == list(range(10))
    assert (distances[:10] < near).all() and (distances[10:] < near).mean() < 0.2
    assert memorised(copies, training, ["one"] * 100)[2] is None
