"""A wider network starts from a narrower one's weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from medgen.networks.ladder_vae import LadderVAE
from medgen.training.warm_start import widen


def chain(width: int) -> nn.Module:
    torch.manual_seed(width)
    return nn.Sequential(
        nn.Conv3d(2, width, 3, padding=1), nn.ReLU(), nn.ConvTranspose3d(width, width, 2, stride=2), nn.Conv3d(width, 1, 1)
    )


def test_the_wider_network_begins_as_the_narrower_one() -> None:
    narrow, wide = chain(4), chain(7)
    image = torch.randn(1, 2, 6, 5, 4)
    assert not torch.allclose(wide(image), narrow(image), atol=1e-3)
    torch.testing.assert_close(widen(wide, narrow.state_dict())(image), narrow(image))


def test_the_new_channels_can_learn() -> None:
    narrow, wide = chain(4), chain(7)
    widen(wide, narrow.state_dict())(torch.randn(1, 2, 6, 5, 4)).square().sum().backward()
    assert wide[3].weight.grad[:, 4:].abs().min() > 0


def test_the_same_width_is_a_plain_load() -> None:
    once, again = LadderVAE(widths=(8, 16), blocks=(1, 1)), LadderVAE(widths=(8, 16), blocks=(1, 1))
    widen(again, once.state_dict())
    for name, tensor in once.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_another_network_is_refused() -> None:
    with pytest.raises(ValueError, match="0.weight of shape .* does not fit"):
        widen(chain(4), chain(7).state_dict())
    with pytest.raises(ValueError, match="other names"):
        widen(chain(4), nn.Conv3d(1, 1, 1).state_dict())
