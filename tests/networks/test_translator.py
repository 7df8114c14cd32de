from __future__ import annotations

import pytest
import torch

from medgen.inference.traits import find_stride
from medgen.networks.translator import Translator


def small(trained: bool = False) -> Translator:
    torch.manual_seed(0)
    network = Translator(5, (8, 8), (1, 1)).eval()
    if trained:
        torch.nn.init.normal_(network.head.weight)
    return network


def test_untrained_it_gives_the_first_guess() -> None:
    x = torch.rand(2, 5, 8, 12, 16)
    assert torch.equal(small()(x), x[:, :1])


@pytest.mark.parametrize("channel", [1, 2, 4])
def test_the_scan_and_each_part_of_the_style_change_what_is_made(channel: int) -> None:
    x = torch.rand(1, 5, 8, 8, 8)
    other = x.clone()
    other[:, channel] = 1 - other[:, channel]
    network = small(trained=True)
    assert (network(x) - network(other)).abs().max() > 1e-3


def test_tiles_are_exact() -> None:
    """What lies far away changes nothing: no statistic is of the window."""
    network = small(trained=True)
    x = torch.rand(1, 5, 96, 8, 8)
    other = x.clone()
    other[:, :, 72:] = 3
    torch.testing.assert_close(network(x)[:, :, :24], network(other)[:, :, :24], atol=1e-5, rtol=1e-5)
    assert find_stride(network, 5, torch.device("cpu")) == (4, 4, 4)


def test_two_directions_at_once_are_learned() -> None:
    """To 1 - scan where the style says so, to scan / 2 where not; the guess is 0."""
    network = small()
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    generator = torch.Generator().manual_seed(0)
    first = last = 0.0
    for _ in range(60):
        scan = torch.rand(2, 1, 8, 8, 8, generator=generator)
        turned = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1, 1).expand_as(scan)
        told = torch.cat([torch.zeros_like(scan), scan, turned, 1 - turned, torch.ones_like(scan)], 1)
        loss = (network(told) - torch.where(turned > 0, 1 - scan, scan / 2)).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        first, last = first or float(loss), float(loss)
    assert last < 0.4 * first


def test_odd_sides_and_levels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 4"):
        small()(torch.rand(1, 5, 8, 8, 6))
    with pytest.raises(ValueError, match="one entry for each level"):
        Translator(5, (8, 8), (1,))
