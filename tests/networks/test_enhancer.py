from __future__ import annotations

import pytest
import torch

from medgen.networks.enhancer import Enhancer
from medgen.training.warm_start import load_parts


def small(**options: object) -> Enhancer:
    torch.manual_seed(0)
    network = Enhancer(widths=(8, 8), blocks=(1, 1), detail=1, **options)  # type: ignore[arg-type]
    for parameter in network.parameters():  # heads start at 0
        torch.nn.init.normal_(parameter, std=0.1)
    return network.eval()


def image(*shape: int) -> torch.Tensor:
    x = torch.rand(2, 4, *shape)
    x[:, 1:3] = 0.5
    return x


def test_a_new_network_gives_nearly_the_image_back() -> None:
    x = torch.nn.functional.interpolate(image(4, 2, 4), size=(16, 8, 16), mode="trilinear")
    with torch.inference_mode():
        out = Enhancer()(x)
    assert out.shape == (2, 1, 16, 8, 16)
    assert float((out - x[:, :1]).abs().mean()) < 0.1


def test_strength_adds_detail_in_proportion_and_nothing_at_zero() -> None:
    network, x = small(), image(16, 12, 20)
    with torch.inference_mode():
        faithful = network(x)
        network.strength = 1.0
        sharp = network(x)
        network.strength = 0.25
        between = network(x)
    assert float((sharp - faithful).abs().max()) > 0
    torch.testing.assert_close(between, faithful + 0.25 * (sharp - faithful), atol=1e-5, rtol=1e-4)


def test_scaling_the_scan_scales_the_result() -> None:
    network, x = small(strength=0.7), image(16, 16, 16)
    louder = x.clone()
    louder[:, 0] *= 7
    with torch.inference_mode():
        torch.testing.assert_close(network(louder), 7 * network(x), rtol=1e-3, atol=1e-3)


def test_how_the_slices_were_acquired_matters() -> None:
    network, x = small(), image(16, 16, 16)
    other = x.clone()
    other[:, 1] = 1.0
    with torch.inference_mode():
        assert float((network(other) - network(x)).abs().max()) > 1e-6


def test_sides_and_levels_are_checked() -> None:
    with pytest.raises(ValueError, match="multiples of 4"):
        small()(image(15, 16, 16))
    with pytest.raises(ValueError, match="one entry for each level"):
        Enhancer(widths=(8, 8), blocks=(1,))


def test_parts_of_a_denoiser_are_taken_over() -> None:
    from medgen.networks.ladder_vae import LadderVAE

    denoiser = LadderVAE(widths=(8, 8), blocks=(1, 1), ladder_width=4, latents=1)
    network = load_parts(Enhancer(widths=(8, 8), blocks=(1, 1), detail=1), denoiser.state_dict())
    assert torch.equal(network.state_dict()["trunk.encoder.0.0.first.weight"], denoiser.state_dict()["trunk.encoder.0.0.first.weight"])
    with pytest.raises(ValueError, match="no tensor"):
        load_parts(network, {"other": torch.zeros(1)})
