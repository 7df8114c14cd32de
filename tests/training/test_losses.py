from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from medgen.networks.ladder_vae import LadderTerms
from medgen.training.losses import LadderLoss, RestorationLoss, structural_loss

ONES = torch.ones(2, 1, 4, 4, 4)


def terms(
    mean: float = 0.0, residual: float = 0.0, log_scale: float = 0.0, kl: tuple[float, ...] = (0.0,)
) -> LadderTerms:
    return LadderTerms(mean * ONES, residual * ONES, log_scale * ONES, torch.tensor(kl))


def test_the_mean_is_judged_by_its_root_mean_squared_error() -> None:
    assert float(LadderLoss(floor=0.0)(0.5 * ONES, ONES)) == pytest.approx(0.5)


def test_each_image_counts_by_its_root_not_its_square() -> None:
    output = torch.stack([ONES[0] + 0.1, ONES[1] + 0.7])
    assert float(LadderLoss(floor=0.0)(output, ONES)) == pytest.approx((0.1 + 0.7) / 2)


def test_the_floor_keeps_the_gradient_finite_at_a_perfect_result() -> None:
    output = ONES.clone().requires_grad_()
    loss = LadderLoss(floor=1e-4)(output, ONES)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.01)
    assert torch.isfinite(output.grad).all()


def test_the_likelihood_is_gaussian() -> None:
    loss = LadderLoss(free_bits=0.0, warmup=0)
    value = float(loss(terms(mean=0.3, residual=0.2, log_scale=math.log(0.25)), ONES))
    gaussian = torch.distributions.Normal(0.5, 0.25).log_prob(torch.tensor(1.0))
    assert value == pytest.approx(-float(gaussian) - 0.5 * math.log(2 * math.pi), rel=1e-5)


def test_the_best_scale_is_the_error() -> None:
    loss = LadderLoss(free_bits=0.0, warmup=0)
    values = {s: float(loss(terms(mean=0.6, log_scale=math.log(s)), ONES)) for s in (0.2, 0.3, 0.4, 0.5, 0.6)}
    assert min(values, key=values.__getitem__) == 0.4


def test_free_bits_hold_the_divergence_of_each_level() -> None:
    loss = LadderLoss(free_bits=0.1, warmup=0)
    base = float(LadderLoss(free_bits=0.0, warmup=0)(terms(), ONES))
    assert float(loss(terms(kl=(0.05, 0.3)), ONES)) - base == pytest.approx(0.1 + 0.3)


def test_the_divergence_warms_up() -> None:
    loss = LadderLoss(free_bits=0.0, warmup=4)
    base = float(LadderLoss(free_bits=0.0, warmup=0)(terms(), ONES))
    values = [float(loss(terms(kl=(2.0,)), ONES)) - base for _ in range(6)]
    assert values == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0, 2.0])


def test_bfloat16_outputs_are_judged_in_float32() -> None:
    assert LadderLoss()(ONES.bfloat16(), ONES).dtype == torch.float32


def test_the_warm_up_is_kept_with_the_state_and_does_not_count_in_evaluation() -> None:
    loss = LadderLoss(warmup=4)
    assert [loss.beta() for _ in range(3)] == [0.25, 0.5, 0.75]
    assert loss.eval().beta() == 1.0
    resumed = LadderLoss(warmup=4)
    resumed.load_state_dict(loss.state_dict())
    assert [resumed.beta(), resumed.beta()] == [1.0, 1.0] and resumed.calls == 5


def test_structure_is_measured_against_scikit_image() -> None:
    rng = np.random.RandomState(0)
    truth = rng.uniform(0, 1, (16, 17, 18)).astype(np.float32)
    image = (truth + 0.1 * rng.standard_normal(truth.shape)).astype(np.float32)
    known = structural_similarity(truth, image, win_size=7, data_range=1.0, use_sample_covariance=False)
    a, b = (torch.from_numpy(x)[None, None] for x in (image, truth))
    assert float(1 - structural_loss(a, b)) == pytest.approx(known, abs=2e-3)  # scikit-image pads the mean of its map differently
    assert float(structural_loss(b, b)) == pytest.approx(0, abs=1e-5)


def test_a_restoration_has_its_three_terms() -> None:
    target = torch.zeros(2, 1, 8, 8, 8)
    output = torch.stack([torch.full((1, 8, 8, 8), 0.1), torch.full((1, 8, 8, 8), 0.3)])
    only = {"l1": 0.0, "rmse": 0.0, "structural": 0.0, "floor": 0.0}
    assert float(RestorationLoss(**{**only, "l1": 1.0})(output, target)) == pytest.approx(0.2)
    assert float(RestorationLoss(**{**only, "rmse": 2.0})(output, target)) == pytest.approx(0.4)
    assert float(RestorationLoss(**{**only, "structural": 3.0})(output, target)) == pytest.approx(3 * float(structural_loss(output, target)))
