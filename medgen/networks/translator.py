"""A U-Net that corrects a first guess, fully convolutional at any size: a scan in, another contrast out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets import UNet
from torch import Tensor, nn


class Translator(nn.Module):
    """Correct a first guess: ``guess + correction``, where MONAI's residual U-Net makes the correction of all that is told.

    The first channel of x (B, conditions, X, Y, Z) is the guess; the others are the scan and what is told of it
    (`medgen.transforms.translate`). Its batch norms have fixed statistics once trained, so that tiles are exact; without norms,
    with steps of a few crops in six directions each, it did not learn. Sides must be multiples of `stride`.

    Args:
        conditions: channels of x.
        channels: features at 1/2, 1/4, 1/8 ... of the resolution.
    """

    def __init__(self, conditions: int, channels: Sequence[int] = (32, 64, 96, 128)) -> None:
        super().__init__()
        self.conditions, self.stride = conditions, 2 ** len(channels[1:])
        self.unet = UNet(3, conditions, 1, channels, (2,) * len(channels[1:]), num_res_units=2, norm="batch")

    def forward(self, x: Tensor) -> Tensor:
        """Return the image (B, 1, X, Y, Z). Raises ValueError where a side of x is no multiple of `stride`."""
        if not torch.jit.is_tracing() and any(n % self.stride for n in x.shape[2:]):
            raise ValueError(f"the sides of the input, {tuple(x.shape[2:])}, must be multiples of {self.stride}")
        return x[:, :1].float() + self.unet(x).float() / 4
