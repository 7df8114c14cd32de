from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from medgen.networks.ladder_vae import LadderTerms, LadderVAE


def shaken(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give every weight a random value: a new network's heads are zero and hide what the rest does."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return network.eval()


@pytest.fixture(scope="module")
def network() -> LadderVAE:
    return shaken(LadderVAE(widths=(8, 12, 16), blocks=(1, 1, 1), ladder_width=6, latents=2))


def image(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*(shape or (1, 1, 16, 24, 16)), generator=torch.Generator().manual_seed(seed))


def test_the_bundles_network_has_at_most_six_million_weights() -> None:
    count = sum(p.numel() for p in LadderVAE().parameters())
    assert 1e6 < count <= 6e6


def test_the_mean_is_one_deterministic_tensor_of_the_images_shape(network: LadderVAE) -> None:
    y = image()
    torch.manual_seed(1)
    first = network(y)
    torch.manual_seed(2)
    assert isinstance(first, torch.Tensor) and first.shape == y.shape and first.dtype == torch.float32
    assert torch.equal(first, network(y))
    assert (first - y).abs().max() > 1e-3  # the weights do something


def test_scaling_the_input_scales_the_mean(network: LadderVAE) -> None:
    y = image()
    torch.testing.assert_close(network(3 * y), 3 * network(y), atol=1e-4, rtol=1e-4)


def test_air_stays_air(network: LadderVAE) -> None:
    assert not network(torch.zeros(1, 1, 16, 16, 16)).any()


def test_shifting_the_input_by_the_stride_shifts_the_mean() -> None:
    """Away from the borders, further than the receptive field reaches."""
    network = shaken(LadderVAE(widths=(8, 8), blocks=(1, 1), ladder_width=4, latents=1))
    assert network.stride == 4
    y = torch.zeros(1, 1, 96, 48, 48)
    y[..., 40:48, 20:28, 20:28] = image(1, 1, 8, 8, 8)
    shift = network.stride
    a, b = network(y), network(y.roll(shift, dims=2))
    inner = slice(32, 60)
    torch.testing.assert_close(b[:, :, 32 + shift : 60 + shift], a[:, :, inner], atol=1e-6, rtol=1e-5)
    assert (b[:, :, inner] - a[:, :, inner]).abs().max() > 1e-3


def test_a_new_network_is_a_mild_filter() -> None:
    clean = torch.full((1, 1, 32, 32, 32), 0.5)
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        out = LadderVAE()(noisy)
    assert 0.5 * (noisy - clean).std() < (out - clean).std() < (noisy - clean).std()


def test_with_a_target_it_gives_the_terms_of_the_loss(network: LadderVAE) -> None:
    y = image(2, 1, 16, 16, 16)
    terms = network(y, target=image(2, 1, 16, 16, 16, seed=5))
    assert isinstance(terms, LadderTerms)
    assert terms.mean.shape == terms.residual.shape == terms.log_scale.shape == y.shape
    assert terms.kl.shape == (3,)
    assert (terms.kl > 0).all()
    torch.testing.assert_close(terms.mean, network(y))


def test_the_divergence_is_zero_in_a_new_network() -> None:
    terms = LadderVAE(widths=(4, 4), blocks=(1, 1), ladder_width=4, latents=2)(image(), target=image(seed=1))
    assert terms.kl.abs().max() < 1e-6
    assert not terms.residual.any()
    torch.testing.assert_close(terms.log_scale, torch.full_like(terms.log_scale, math.log(0.03)))


def test_the_divergence_is_never_negative() -> None:
    for seed in range(5):
        net = shaken(LadderVAE(widths=(4, 4), blocks=(1, 1), ladder_width=4, latents=2), seed)
        assert (net(image(seed=seed), target=image(seed=seed + 9)).kl >= -1e-7).all()


def test_the_ladder_sends_no_gradient_into_the_trunk(network: LadderVAE) -> None:
    terms = network(image(), target=image(seed=1))
    (terms.residual.sum() + terms.log_scale.sum() + terms.kl.sum()).backward()
    assert all(p.grad is None or not p.grad.any() for p in network.trunk.parameters())
    assert any(p.grad is not None and p.grad.any() for p in network.ladder.parameters())
    network.zero_grad()


def test_the_uncertainty_is_positive_and_reproducible_by_its_seed(network: LadderVAE) -> None:
    y = image()
    first, again, other = (network.uncertainty(y, samples=3, seed=s) for s in (1, 1, 2))
    assert first.shape == y.shape
    assert (first > 0).all() and torch.isfinite(first).all()
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert not first.requires_grad


def test_the_uncertainty_leaves_the_global_random_state(network: LadderVAE) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    network.uncertainty(image(), samples=2)
    assert torch.equal(torch.rand(1), expected)


def test_the_uncertainty_of_a_new_network_is_its_scale() -> None:
    out = LadderVAE(widths=(4, 4), blocks=(1, 1), ladder_width=4, latents=2).uncertainty(image(), samples=1)
    torch.testing.assert_close(out, torch.full_like(out, 0.03))


def test_more_channels() -> None:
    net = LadderVAE(channels=2, widths=(4, 4), blocks=(1, 1), ladder_width=4, latents=1)
    y = image(1, 2, 8, 8, 8)
    assert net(y).shape == net.uncertainty(y, samples=2).shape == y.shape


def test_bfloat16_stays_near_float32(network: LadderVAE) -> None:
    y = image()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        fast = network(y)
    assert fast.dtype == torch.float32
    assert (fast - network(y)).abs().max() < 0.05


def test_widths_and_blocks_must_agree() -> None:
    with pytest.raises(ValueError, match="one entry for each level"):
        LadderVAE(widths=(8, 16), blocks=(1,))


@pytest.mark.parametrize("side", [12, 15])
def test_a_side_that_is_no_multiple_of_the_stride_is_refused(network: LadderVAE, side: int) -> None:
    with pytest.raises(ValueError, match="multiples of"):
        network(image(1, 1, 16, 16, side))
