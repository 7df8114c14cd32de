"""Layers that several networks share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))): no bias and no norm, so that scaling the input scales the output; the branch starts at `scale`."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.first = nn.Conv3d(channels, channels, 3, padding=1, bias=False)
        self.second = nn.Conv3d(channels, channels, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.first.weight, nonlinearity="relu")
        nn.init.kaiming_normal_(self.second.weight, nonlinearity="relu")
        with torch.no_grad():
            self.second.weight.mul_(scale)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(x)))


def space_to_depth(x: Tensor) -> Tensor:
    """Return (B, 8 C, X/2, Y/2, Z/2): each 2x2x2 cell's voxels as channels. Sides must be even."""
    b, c, *sides = x.shape
    x = x.reshape(b, c, sides[0] // 2, 2, sides[1] // 2, 2, sides[2] // 2, 2)
    return x.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(b, 8 * c, *(n // 2 for n in sides))
