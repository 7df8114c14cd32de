"""The residual U-Net over a DCT frame that restores: the mean of the VAEs, the faithful part of the enhancers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from medgen.networks.blocks import ResidualBlock, space_to_depth
from medgen.networks.dct_frame import DCTFrame


def _mixing(layer: nn.Conv3d | nn.ConvTranspose3d, gain: float) -> nn.Module:
    """Return the layer with weights that mix channels orthogonally, the same in all voxels of its kernel."""
    with torch.no_grad():
        mix = nn.init.orthogonal_(torch.empty(layer.weight.shape[:2]))
        layer.weight.copy_(gain * mix[..., None, None, None].expand_as(layer.weight))
    return layer


class Trunk(nn.Module):
    """A residual U-Net, from 1/2 resolution down, over the coefficients of a DCT frame.

    For each coefficient c it predicts a gain in (0, 1), as an adaptive Wiener filter has it, and a correction r; the
    image is the synthesis of gain * c + r. So it starts as a sensible linear filter, where a U-Net from scratch spends
    thousands of steps on becoming one. There is no bias in the U-Net and no norm but that of the features of one voxel
    before the gains, so scaling the input scales the output (Mohan et al., ICLR 2020), and air stays air.

    Args:
        channels: image channels.
        widths: channels at 1/2, 1/4, 1/8 ... of the resolution.
        blocks: residual blocks of each of these levels, in the encoder and again in the decoder.
        conditions: channels that tell how the image was made; they scale the first features, so that the rule above holds.

    Raises ValueError where widths and blocks are of different lengths.
    """

    weight: Tensor

    def __init__(self, channels: int, widths: Sequence[int], blocks: Sequence[int], conditions: int = 0) -> None:
        super().__init__()
        if len(widths) != len(blocks):
            raise ValueError(f"widths {tuple(widths)} and blocks {tuple(blocks)} must have one entry for each level")
        self.stride = 2 ** len(widths)
        scale = 1.0 / math.sqrt(2 * sum(blocks))
        pairs = list(pairwise(widths))
        self.frame = DCTFrame(channels)
        coefficients = self.frame.coefficients
        weight = torch.full((coefficients // channels,), 6.0)
        weight[0] = 0.4  # a block's mean is an order of magnitude larger than what tells noise from anatomy
        self.register_buffer("weight", weight.repeat(channels).view(1, -1, 1, 1, 1), persistent=False)
        self.stem = nn.Conv3d(2 * coefficients, widths[0], 1, bias=False)
        self.encoder = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(w, scale) for _ in range(n))) for w, n in zip(widths, blocks)
        )
        # averages, and their way back
        self.down = nn.ModuleList(_mixing(nn.Conv3d(a, b, 2, stride=2, bias=False), 1 / 8) for a, b in pairs)
        self.up = nn.ModuleList(_mixing(nn.ConvTranspose3d(b, a, 2, stride=2, bias=False), 1 / 2) for a, b in pairs)
        self.decoder = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(w, scale) for _ in range(n))) for w, n in zip(widths[:-1], blocks)
        )
        self.gain = nn.Conv3d(widths[0], coefficients, 1)
        self.correction = nn.Conv3d(widths[0], coefficients, 1, bias=False)
        with torch.no_grad():
            nn.init.kaiming_normal_(self.stem.weight, nonlinearity="linear")
            for head in (self.gain, self.correction):
                nn.init.zeros_(head.weight)
            self.gain.bias.fill_(0.75)  # type: ignore[union-attr]
        self.told: nn.Module | None = None
        if conditions:
            last = nn.Conv3d(32, widths[0], 1)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]
            self.told = nn.Sequential(nn.Conv3d(8 * conditions, 32, 1), nn.ReLU(), last)

    def forward(self, y: Tensor, told: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """Return the mean, in float32, and the features of every level, finest first; `told` are the conditions.

        Raises ValueError where a side of y is no multiple of `stride`.
        """
        if not torch.jit.is_tracing() and any(n % self.stride for n in y.shape[2:]):
            raise ValueError(f"the sides of the input, {tuple(y.shape[2:])}, must be multiples of {self.stride}")
        c = self.frame.analysis(y)
        x = c * self.weight
        x = self.stem(torch.cat([x, x.abs()], 1))
        if self.told is not None and told is not None:
            x = x * (1 + self.told(space_to_depth(told)))
        skips = []
        for level, encode in enumerate(self.encoder):
            x = encode(x)
            skips.append(x)
            if level < len(self.down):
                x = self.down[level](x)
        features = [x]
        for level in reversed(range(len(self.up))):
            x = self.decoder[level](self.up[level](x) + skips[level])
            features.insert(0, x)
        h = x.float()
        h = h * (h.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        loss = torch.sigmoid(-4 * self.gain(h).float())  # 1 - gain; the deviation from y is kept small for bfloat16
        return y - self.frame.synthesis(loss * c - self.correction(x).float() / 8), features
