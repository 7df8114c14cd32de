from __future__ import annotations

import math

import pytest
import torch

from medgen.networks.ladder_vae import LadderTerms
from medgen.training.hole_loss import HoleLoss

TRUTH = torch.full((2, 1, 4, 4, 4), 0.5)
MASK = torch.zeros(2, 1, 4, 4, 4)
MASK[0, :, 0], MASK[1, :, :2] = 1, 1
TARGET = torch.cat([TRUTH, MASK], 1)


def test_only_the_hole_is_judged_each_image_by_its_own() -> None:
    output = TRUTH.clone()
    output[0, :, 0] += 0.1
    output[1, :, :2] -= 0.3
    output[:, :, 3] = 99
    expected = (math.log(0.1) + math.log(0.3)) / 2
    assert float(HoleLoss(floor=0)(output, TARGET)) == pytest.approx(expected, rel=1e-5)


def test_no_hole_is_no_error() -> None:
    output = TRUTH.clone().requires_grad_()
    loss = HoleLoss()(output, torch.cat([TRUTH, torch.zeros_like(MASK)], 1))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.5 * math.log(1e-6)) and torch.isfinite(output.grad).all()


def test_the_ladder_pays_for_surprise_in_the_hole_and_for_its_bits() -> None:
    scale = torch.full_like(TRUTH, math.log(0.25))
    mean = torch.where(MASK > 0, TRUTH - 0.3, 99.0)
    terms = LadderTerms(mean, torch.zeros_like(mean), scale, torch.tensor([0.2, 0.0]))
    loss = HoleLoss(free_bits=0.05, warmup=2)
    gaussian = 0.5 * (0.3 / 0.25) ** 2 + math.log(0.25)
    assert float(loss(terms, TARGET)) == pytest.approx(gaussian + 0.5 * 0.25, rel=1e-5)
    assert float(loss(terms, TARGET)) == pytest.approx(gaussian + 0.25, rel=1e-5)
