from __future__ import annotations

import numpy as np
import torch

from medgen.transforms.paint import RandPaintLabelsd


def blocks() -> torch.Tensor:
    """Air (0) around two structures of labels 3 and 250."""
    labels = torch.zeros(1, 24, 26, 28, dtype=torch.uint8)
    labels[:, 8:20, 8:14, 8:20] = 3
    labels[:, 8:20, 14:20, 8:20] = 250
    return labels


def paint(seed: int, **options: float) -> np.ndarray:
    return RandPaintLabelsd("image", **options).set_random_state(seed)({"image": blocks()})["image"].numpy()


def test_the_image_is_finite_bounded_and_shaped() -> None:
    for seed in range(10):
        image = paint(seed)
        assert image.shape == (1, 24, 26, 28) and image.dtype == np.float32
        assert np.isfinite(image).all()
        assert 0.0 <= image.min() and image.max() <= 2.0


def test_air_is_exactly_zero_far_from_tissue() -> None:
    for seed in range(10):
        assert not paint(seed, prob_air=1.0)[0, :2].any()


def test_air_may_be_painted() -> None:
    assert all(paint(seed, prob_air=0.0)[0, :2].any() for seed in range(5))


def test_contrasts_are_random_and_reproducible() -> None:
    np.testing.assert_array_equal(paint(1), paint(1))
    differences = [float(i[0, 14, 10, 14] - i[0, 14, 17, 14]) for i in (paint(s) for s in range(12))]
    assert min(differences) < -0.05 and max(differences) > 0.05  # either structure may be the brighter one


def test_without_texture_and_bias_a_structure_is_flat() -> None:
    inside = paint(3, texture=0.0, bias=1.0, blur=(0.3, 0.3001))[0, 11:17, 10:12, 11:17]
    assert np.ptp(inside) < 1e-3


def test_the_label_map_is_not_touched() -> None:
    labels = blocks()
    data = {"image": labels}
    RandPaintLabelsd("image").set_random_state(0)(data)
    assert data["image"] is labels and torch.equal(labels, blocks())
