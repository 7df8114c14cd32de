from __future__ import annotations

import pytest
import torch

from medgen.inference.traits import find_stride
from medgen.networks.translator import Guess, Translator


def small(variant: str = "paired", trained: bool = False) -> Translator:
    torch.manual_seed(0)
    network = Translator(5, (8, 8), (1, 1), 1, variant=variant).eval()
    if trained:
        for guess in (network.guess, network.unpaired):
            torch.nn.init.normal_(guess.layers[-1].weight)
    return network


def test_untrained_it_gives_the_curve_or_the_scan() -> None:
    x = torch.rand(2, 5, 8, 12, 16)
    assert (small()(x) - x[:, :1]).abs().max() < 0.3  # the trunk's first gains
    assert torch.equal(small("unpaired")(x), x[:, 1:2])


def test_a_flat_scan_has_no_wavelets_and_an_edge_has() -> None:
    guess = Guess(1, levels=3)
    scan = torch.full((1, 1, 40, 40, 40), 0.5)
    inner = guess.features(scan, torch.ones_like(scan))[..., 16:24, 16:24, 16:24]
    assert inner[:, 0].abs().max() < 1e-6 and inner[:, 1:6].abs().max() < 1e-6 and (inner[:, 6] == 1).all()
    scan[:, :, 20:] = 1
    assert (guess.features(scan, torch.ones_like(scan))[0, 1:6, 19:21, 20, 20].abs() > 0.1).all()


def test_wavelets_add_up_to_the_scan() -> None:
    scan = torch.rand(1, 1, 24, 24, 24)
    seen = Guess(1, levels=4).features(scan, scan)
    torch.testing.assert_close((seen[:, :1] + 2) / 4 + seen[:, 1:5].sum(1, keepdim=True) / 8, scan)


@pytest.mark.parametrize(("variant", "channels"), [("paired", (0, 1, 2, 4)), ("unpaired", (1, 2, 4))])
def test_scan_and_style_change_what_is_made(variant: str, channels: tuple[int, ...]) -> None:
    x = torch.rand(1, 5, 8, 8, 8)
    network = small(variant, trained=True)
    for channel in channels:
        other = x.clone()
        other[:, channel] = 1 - other[:, channel]
        assert (network(x) - network(other)).abs().max() > 1e-3


@pytest.mark.parametrize("variant", ["paired", "unpaired"])
def test_what_lies_far_away_changes_nothing(variant: str) -> None:
    network = small(variant, trained=True)
    x = torch.rand(1, 5, 160, 8, 8)
    other = x.clone()
    other[:, :, 120:] = 3
    torch.testing.assert_close(network(x)[:, :, :32], network(other)[:, :, :32], atol=1e-4, rtol=1e-4)


def test_its_stride_is_found() -> None:
    assert find_stride(small(trained=True), 5, torch.device("cpu")) == (4, 4, 4)


def test_a_variant_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="choose from: paired, unpaired"):
        small("both")
