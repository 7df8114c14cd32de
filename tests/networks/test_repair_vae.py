from __future__ import annotations

import pytest
import torch
from torch import nn

from medgen.networks.ladder_vae import LadderTerms
from medgen.networks.repair_vae import RepairVAE


@pytest.fixture(scope="module")
def network() -> RepairVAE:
    """A small one whose zero layers were given weights, so that it does something."""
    torch.manual_seed(0)
    network = RepairVAE(widths=(8, 8, 8), blocks=(1, 1, 1), ladder_width=8, latents=2)
    for layer in (network.trunk.gain, network.trunk.correction, network.ladder.residual, *network.ladder.prior):
        nn.init.normal_(layer.weight, std=0.2)
    return network.eval()


def holed(seed: int = 0, side: int = 32, noise: bool = False) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(1, 2, side, side, side, generator=generator)
    x[:, 1] = (x[:, 1] > 0.8).float()
    return torch.cat([x, torch.randn(1, 1, side, side, side, generator=generator)], 1) if noise else x


@torch.no_grad()
def test_outside_the_mask_no_bit_changes(network: RepairVAE) -> None:
    for x in (holed(), holed(noise=True)):
        known = x[:, 1:2] == 0
        y = network(x)
        assert y.shape == (1, 1, 32, 32, 32) and torch.equal(y[known], x[:, :1][known])
        assert not torch.isclose(y[~known], x[:, :1][~known]).all()
        assert not network.uncertainty(x, samples=2)[known].any()


@torch.no_grad()
def test_the_mean_is_the_same_each_time_and_fills_differ_by_their_noise_alone(network: RepairVAE) -> None:
    x, noisy = holed(), holed(noise=True)
    other = noisy.clone()
    other[:, 2] = torch.randn(32, 32, 32, generator=torch.Generator().manual_seed(9))
    assert torch.equal(network(x), network(x)) and torch.equal(network(noisy), network(noisy))
    assert not torch.allclose(network(noisy), network(other))


@torch.no_grad()
def test_the_noise_of_all_levels_is_used_once(network: RepairVAE) -> None:
    noise = torch.arange(32.0**3).reshape(1, 1, 32, 32, 32)
    levels = network._noise(noise)
    assert [tuple(n.shape) for n in levels] == [(1, 2, 16, 16, 16), (1, 2, 8, 8, 8), (1, 2, 4, 4, 4)]
    used = torch.cat([n.flatten() for n in levels])
    assert len(used.unique()) == len(used)


@torch.no_grad()
def test_uncertainty_repeats_with_its_seed_and_holds_the_spread_of_fills(network: RepairVAE) -> None:
    x = holed()
    one, same, other = (network.uncertainty(x, samples=3, seed=s) for s in (0, 0, 1))
    inside = x[:, 1:2] == 1
    assert torch.equal(one, same) and not torch.equal(one, other) and (one[inside] > 0.09).all()


@torch.no_grad()
def test_shifted_by_the_stride_it_gives_the_same(network: RepairVAE) -> None:
    x = holed(side=160, noise=True)[..., :32, :32]
    a, b = network(x[:, :, :152]), network(x[:, :, 8:])
    assert torch.allclose(a[:, :, 72:88], b[:, :, 64:80], atol=1e-5)


def test_a_target_gives_the_terms_and_gradients_of_the_ladder_alone(network: RepairVAE) -> None:
    x = holed()
    truth = torch.cat([torch.rand(1, 1, 32, 32, 32), x[:, 1:]], 1)
    network.zero_grad()
    terms = network(x, truth)
    assert isinstance(terms, LadderTerms) and terms.kl.shape == (3,)
    (terms.residual.sum() + terms.log_scale.sum() + terms.kl.sum()).backward()
    assert all(p.grad is None for p in network.trunk.parameters())
    assert any(p.grad is not None and p.grad.any() for p in network.ladder.parameters())


def test_wrong_sides_and_sizes_are_named(network: RepairVAE) -> None:
    with pytest.raises(ValueError, match="multiples of 8"):
        network(torch.zeros(1, 2, 20, 32, 32))
    with pytest.raises(ValueError, match="one entry for each level"):
        RepairVAE(widths=(8, 8), blocks=(1,))
    with pytest.raises(ValueError, match="at most 4"):
        RepairVAE(latents=5)
