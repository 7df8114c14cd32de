"""A generator that paints label maps: SPADE blocks over a prior image, fully convolutional at any size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medgen.networks.blocks import space_to_depth


class Spade(nn.Module):
    """Normalise each voxel's features over their channels, then scale and shift them by what the map says there.

    The norm of SPADE (Park et al., CVPR 2019) takes its statistics from the window, so that tiles disagree; a pixel norm
    (Karras et al., ICLR 2018) does not.
    """

    def __init__(self, channels: int, told: int) -> None:
        super().__init__()
        self.modulate = nn.Conv3d(told, 2 * channels, 1)
        nn.init.normal_(self.modulate.weight, std=0.02)
        nn.init.zeros_(self.modulate.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        x = x * (x.float().square().mean(1, keepdim=True) + 1e-6).rsqrt().to(x.dtype)
        gain, shift = self.modulate(told).chunk(2, 1)
        return x * (1 + gain) + shift


class SpadeBlock(nn.Module):
    """x + conv(act(spade(conv(act(spade(x)))))); the branch starts at `scale`."""

    def __init__(self, channels: int, told: int, scale: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(Spade(channels, told) for _ in range(2))
        self.convs = nn.ModuleList(nn.Conv3d(channels, channels, 3, padding=1) for _ in range(2))
        for conv in self.convs:
            nn.init.kaiming_normal_(conv.weight, a=0.2)  # type: ignore[arg-type]
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            self.convs[1].weight.mul_(scale)  # type: ignore[operator]

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        out = x
        for norm, conv in zip(self.norms, self.convs):
            out = conv(F.leaky_relu(norm(out, told), 0.2))
        return x + out


class SpadeGenerator(nn.Module):
    """Paint a label map: ``prior + correction``, where the correction is made from coarse to fine under the map's control.

    The first channel of x (B, conditions, X, Y, Z) is the prior, an image of what each class looks like on average; the
    others are the classes, one channel each, and whatever else is told of the image (`medgen.transforms.style`). The
    correction is the prior's own scale, so that any contrast can be painted. It is computed from 1/2 resolution down on
    2x2x2 cells. There is no norm over windows; sides must be multiples of `stride`.

    Args:
        conditions: channels of x.
        widths: features at 1/2, 1/4, 1/8 ... of the resolution.
        blocks: SPADE blocks of each of these levels.
        told: channels that the map is embedded to, at every level.
    """

    def __init__(
        self, conditions: int, widths: Sequence[int] = (48, 64, 96), blocks: Sequence[int] = (2, 2, 2), told: int = 32
    ) -> None:
        super().__init__()
        if len(widths) != len(blocks):
            raise ValueError(f"widths {tuple(widths)} and blocks {tuple(blocks)} must have one entry for each level")
        self.conditions, self.stride = conditions, 2 ** len(widths)
        scale = 1 / math.sqrt(2 * sum(blocks))
        self.embed = nn.ModuleList([nn.Conv3d(8 * conditions, told, 3, padding=1)])
        self.embed.extend(nn.Conv3d(told, told, 3, padding=1) for _ in widths[1:])
        self.start = nn.Conv3d(told, widths[-1], 1)
        self.levels = nn.ModuleList(
            nn.ModuleList(SpadeBlock(width, told, scale) for _ in range(count)) for width, count in zip(widths, blocks)
        )
        self.up = nn.ModuleList(nn.Conv3d(coarse, fine, 1) for fine, coarse in pairwise(widths))
        self.head = nn.Conv3d(widths[0], 8, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Return the image (B, 1, X, Y, Z). Raises ValueError where a side of x is no multiple of `stride`."""
        if not torch.jit.is_tracing() and any(n % self.stride for n in x.shape[2:]):
            raise ValueError(f"the sides of the input, {tuple(x.shape[2:])}, must be multiples of {self.stride}")
        maps = [F.leaky_relu(self.embed[0](space_to_depth(x)), 0.2)]
        for embed in self.embed[1:]:  # type: ignore[index]
            maps.append(F.leaky_relu(embed(F.avg_pool3d(maps[-1], 2)), 0.2))
        features = self.start(maps[-1])
        for level in reversed(range(len(self.levels))):
            for block in self.levels[level]:  # type: ignore[attr-defined]
                features = block(features, maps[level])
            if level:
                features = F.interpolate(self.up[level - 1](features), scale_factor=2.0, mode="nearest")
        cells = self.head(F.leaky_relu(features, 0.2)).float() / 32  # a step of Adam changes the image by little
        return x[:, :1].float() + depth_to_space(cells)


def depth_to_space(cells: Tensor) -> Tensor:
    """Return (B, 1, 2 X, 2 Y, 2 Z) of 2x2x2 cells (B, 8, X, Y, Z): `space_to_depth` the other way."""
    b, _, x, y, z = cells.shape
    return cells.reshape(b, 2, 2, 2, x, y, z).permute(0, 4, 1, 5, 2, 6, 3).reshape(b, 1, 2 * x, 2 * y, 2 * z)
