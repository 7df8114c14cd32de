"""A U-Net that corrects a first guess, fully convolutional at any size: a scan in, another contrast out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medgen.networks.blocks import ResidualBlock, space_to_depth
from medgen.networks.spade import Spade, depth_to_space


class Translator(nn.Module):
    """Correct a first guess: ``guess + correction``, where a residual U-Net makes the correction of the scan and the guess.

    The first two channels of x (B, conditions, X, Y, Z) are the guess and the scan; the others are the style: what the scan is
    and what is wanted (`medgen.transforms.translate`). The U-Net works from 1/2 resolution down on 2x2x2 cells; at each level,
    on the way down and up, the style scales and shifts features that are normalised voxel by voxel (`Spade`), so that one
    network serves all directions and tiles are exact. Without a norm it did not learn six directions at once.

    Args:
        conditions: channels of x.
        widths: features at 1/2, 1/4, 1/8 ... of the resolution.
        blocks: residual blocks of each of these levels, in the encoder and again in the decoder.

    Raises ValueError where widths and blocks are of different lengths.
    """

    def __init__(self, conditions: int, widths: Sequence[int] = (32, 64, 96), blocks: Sequence[int] = (1, 2, 2)) -> None:
        super().__init__()
        if len(widths) != len(blocks):
            raise ValueError(f"widths {tuple(widths)} and blocks {tuple(blocks)} must have one entry for each level")
        self.conditions, self.stride = conditions, 2 ** len(widths)
        style, scale = conditions - 2, 1 / math.sqrt(2 * sum(blocks))
        self.stem = nn.Conv3d(16 + style, widths[0], 3, padding=1)
        self.styles = nn.ModuleList(Spade(width, style) for width in (*widths, *widths[-2::-1]))
        self.encoder = nn.ModuleList(nn.Sequential(*(ResidualBlock(w, scale) for _ in range(n))) for w, n in zip(widths, blocks))
        self.decoder = nn.ModuleList(nn.Sequential(*(ResidualBlock(w, scale) for _ in range(n))) for w, n in zip(widths[:-1], blocks))
        self.down = nn.ModuleList(nn.Conv3d(fine, coarse, 2, stride=2) for fine, coarse in pairwise(widths))
        self.up = nn.ModuleList(nn.ConvTranspose3d(coarse, fine, 2, stride=2) for fine, coarse in pairwise(widths))
        self.head = nn.Conv3d(widths[0], 8, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Return the image (B, 1, X, Y, Z). Raises ValueError where a side of x is no multiple of `stride`."""
        if not torch.jit.is_tracing() and any(n % self.stride for n in x.shape[2:]):
            raise ValueError(f"the sides of the input, {tuple(x.shape[2:])}, must be multiples of {self.stride}")
        told = [F.avg_pool3d(x[:, 2:], 2)]
        told.extend(F.avg_pool3d(x[:, 2:], 2 ** (level + 2)) for level in range(len(self.down)))
        features = self.stem(torch.cat([space_to_depth(x[:, :2]), told[0].to(x.dtype)], 1))
        skips: list[Tensor] = []
        for level, encode in enumerate(self.encoder):
            features = encode(self.styles[level](features, told[level]))
            skips.append(features)
            if level < len(self.down):
                features = self.down[level](features)
        for level in reversed(range(len(self.up))):
            features = self.up[level](features) + skips[level]
            features = self.decoder[level](self.styles[2 * len(self.up) - level](features, told[level]))
        cells = self.head(F.leaky_relu(features, 0.2)).float() / 32  # a step of Adam changes the image by little
        return x[:, :1].float() + depth_to_space(cells)
