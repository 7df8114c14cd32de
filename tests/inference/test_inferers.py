from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from medgen.inference.inferers import HaloInferer, bf16_is_fast


class Blur(nn.Module):
    """Receptive field of 1 voxel to each side at half resolution: 4 voxels at full resolution, total stride 2."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.down = nn.Conv3d(1, 2, 2, stride=2)
        self.mix = nn.Conv3d(2, 2, 3, padding=1)
        self.up = nn.ConvTranspose3d(2, 1, 2, stride=2)
        for parameter in self.parameters():
            nn.init.normal_(parameter, generator=generator)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert all(side % 2 == 0 for side in x.shape[2:])
        return self.up(torch.relu(self.mix(self.down(x))))


@pytest.mark.parametrize("shape", [(16, 16, 16), (13, 22, 9), (1, 5, 40), (33, 1, 1)])
def test_tiles_with_a_halo_equal_one_pass(shape: tuple[int, ...]) -> None:
    image = torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(1))
    one = HaloInferer(multiple=2, bf16=False)(image, Blur())
    tiled = HaloInferer(multiple=2, max_voxels=1, tile=8, halo=4, bf16=False)(image, Blur())
    assert one.shape == image.shape
    torch.testing.assert_close(tiled, one, atol=1e-5, rtol=1e-5)


def test_a_halo_that_is_too_small_shows() -> None:
    image = torch.rand(1, 1, 16, 16, 16)
    one = HaloInferer(multiple=2, bf16=False)(image, Blur())
    tiled = HaloInferer(multiple=2, max_voxels=1, tile=8, halo=0, bf16=False)(image, Blur())
    assert (tiled - one).abs().max() > 1e-3


@pytest.mark.parametrize("flips", [2, 4, 8])
def test_mirrored_copies_are_turned_back_and_averaged(flips: int) -> None:
    """Of a shift by one voxel along each axis, what is left are the shifts to the sides that were mirrored."""
    image = torch.rand(1, 1, 8, 8, 8)
    out = HaloInferer(multiple=8, flips=flips, bf16=False)(image, lambda x: x.roll((1, 1, 1), (2, 3, 4)))
    signs = {2: [(1, 1, 1), (-1, -1, -1)], 4: [(1, 1, 1), (-1, -1, 1), (-1, 1, -1), (1, -1, -1)]}
    signs[8] = [(a, b, c) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)]
    expected = sum(image.roll(sign, (2, 3, 4)) for sign in signs[flips]) / flips
    torch.testing.assert_close(out, expected)


def test_tiles_of_mirrored_copies_equal_one_pass() -> None:
    image = torch.rand(1, 1, 20, 13, 16)
    one = HaloInferer(multiple=2, flips=4, bf16=False)(image, Blur())
    tiled = HaloInferer(multiple=2, max_voxels=1, tile=8, halo=4, flips=4, bf16=False)(image, Blur())
    torch.testing.assert_close(tiled, one, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(13, 22, 9), (8, 3, 2), (17, 1, 8)])
def test_sides_are_padded_by_reflection(shape: tuple[int, ...]) -> None:
    """Copies of the last plane have no noise in them: a denoiser would leave them, and their neighbours, as they are."""
    image, seen = torch.rand(1, 1, *shape), []
    HaloInferer(multiple=8, bf16=False)(image, lambda x: seen.append(x.numpy()[0, 0]) or x)
    pads = [(0, -n % 8) for n in shape]
    np.testing.assert_array_equal(seen[0], np.pad(image[0, 0].numpy(), pads, mode="reflect"))


def test_bfloat16_stays_near_float32() -> None:
    image = torch.rand(1, 1, 16, 16, 16)
    exact = HaloInferer(multiple=2, bf16=False)(image, Blur())
    fast = HaloInferer(multiple=2, bf16=True)(image, Blur())
    assert fast.dtype == torch.float32
    assert (fast - exact).abs().max() < 0.03 * exact.abs().max()


def test_tile_must_be_a_multiple_of_the_stride() -> None:
    with pytest.raises(ValueError, match="multiples of the network's stride, 8"):
        HaloInferer(multiple=8, tile=100)


def test_flips_are_1_2_4_or_8() -> None:
    with pytest.raises(ValueError, match="one of 1, 2, 4, 8, not 3"):
        HaloInferer(flips=3)


def test_bf16_is_fast_answers_for_a_device_it_does_not_know() -> None:
    assert bf16_is_fast(torch.device("meta")) is False
