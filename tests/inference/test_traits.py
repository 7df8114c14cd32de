"""Stride, reach and memory of networks whose stride, reach and memory are known."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from medgen.inference.traits import Traits, find_halo, find_stride, peak_bytes, reaches_too_far

CPU = torch.device("cpu")


def random(*layers: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for layer in layers:
        for parameter in layer.parameters():
            nn.init.normal_(parameter)
    return nn.Sequential(*layers).requires_grad_(False)


def strided(levels: int) -> nn.Module:
    down = [nn.Conv3d(1, 1, 2, stride=2) for _ in range(levels)]
    return random(*down, *(nn.ConvTranspose3d(1, 1, 2, stride=2) for _ in range(levels)))


@pytest.mark.parametrize("levels", [0, 1, 2, 3, 4])
def test_the_stride_is_found(levels: int) -> None:
    assert find_stride(strided(levels) if levels else nn.Identity(), 1, CPU) == (2**levels,) * 3


def test_each_axis_has_its_own_stride() -> None:
    network = random(nn.Conv3d(1, 1, (1, 2, 4), stride=(1, 2, 4)), nn.ConvTranspose3d(1, 1, (1, 2, 4), stride=(1, 2, 4)))
    assert find_stride(network, 1, CPU) == (1, 2, 4)


def test_a_network_that_knows_the_place_has_no_stride() -> None:
    assert find_stride(lambda x: x * torch.linspace(0, 1, x.shape[2])[:, None, None], 1, CPU) is None


@pytest.mark.parametrize("kernel, reach", [((1, 1, 1), (0, 0, 0)), ((3, 5, 9), (4, 4, 4)), ((11, 15, 1), (8, 8, 0))])
def test_the_halo_is_the_reach_in_steps_of_four(kernel: tuple[int, ...], reach: tuple[int, ...]) -> None:
    network = random(nn.Conv3d(1, 1, kernel, padding=tuple(k // 2 for k in kernel)))
    halo, error = find_halo(network, 1, CPU, (1, 1, 1), 1e-5)
    assert halo == reach and error <= 1e-5


def test_rounding_does_not_ask_for_a_halo() -> None:
    """As on a GPU, where the order of a sum depends on the shape of the tile."""
    network = random(nn.Conv3d(1, 1, (3, 5, 9), padding=(1, 2, 4)))

    def rounded(x: torch.Tensor) -> torch.Tensor:
        y = network(x)
        generator = torch.Generator().manual_seed(x.numel())
        return y + 1e-6 * torch.rand(y.shape, generator=generator) * (y.max() - y.min())

    halo, error = find_halo(rounded, 1, CPU, (1, 1, 1), 1e-5)
    assert halo == (4, 4, 4) and 1e-5 / 50 < error < 2e-6


def test_a_reach_that_is_too_long_is_told_by_its_error() -> None:
    far = nn.Conv3d(1, 1, (141, 1, 1), padding=(70, 0, 0), bias=False).requires_grad_(False)
    nn.init.zeros_(far.weight)
    far.weight[0, 0, 70], far.weight[0, 0, 0] = 1, 0.005
    halo, error = find_halo(far, 1, CPU, (1, 1, 1), 1e-4)
    assert halo[0] == 64 and 1e-4 < error < 0.005
    assert not reaches_too_far(far, 1, CPU)
    far.weight[0, 0, 0] = 0.5
    assert reaches_too_far(far, 1, CPU)


def test_instance_norm_reaches_too_far() -> None:
    assert reaches_too_far(lambda x: nn.functional.instance_norm(x), 1, CPU)
    traits = Traits(lambda x: nn.functional.instance_norm(x), lambda x: x, 1, CPU, 1e-4)
    assert traits.stride is None


def test_peak_memory_is_counted() -> None:
    """Two copies of four bytes at the peak: `a` is freed before `c` is made, `b` and `c` are alive together."""

    def function(x: torch.Tensor) -> torch.Tensor:
        a = x + 1
        b = a * 2
        del a
        return b - 1

    assert peak_bytes(function, 1, CPU, side=16) == 8


def test_a_network_that_takes_no_thin_slab_gets_a_thick_one() -> None:
    def picky(x: torch.Tensor) -> torch.Tensor:
        if min(x.shape[2:]) < 32:
            raise ValueError("sides must be 32 or more")
        return x

    assert find_stride(picky, 1, CPU) == (1, 1, 1)
    with pytest.raises(ValueError, match="takes no image of 32 voxels"):
        find_stride(lambda x: x.reshape(3), 1, CPU)


def test_memory_is_that_of_inference() -> None:
    """Of ten layers two results are alive at a time, not the ten that a gradient would need."""
    layers = torch.nn.Sequential(*(torch.nn.Conv3d(1, 1, 1) for _ in range(10)))
    assert 8 <= peak_bytes(layers, 1, torch.device("cpu"), side=16) <= 12
