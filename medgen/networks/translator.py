"""A U-Net that corrects a first guess, fully convolutional at any size: a scan in, another contrast out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets import UNet
from torch import Tensor, nn


class Translator(nn.Module):
    """Correct a first guess: ``guess + correction``, where MONAI's residual U-Net makes a correction for each direction.

    x (B, 3 + 2 contrasts, X, Y, Z) is what `medgen.transforms.translate.tell` says: guess, scan, spacing, and one channel a
    contrast for the scan's own and for the one wanted, which choose the correction. Directions that shared one output disturbed
    each other, and it did not learn. The batch norms have fixed statistics once trained, so that tiles are exact. Sides
    must be multiples of `stride`.

    Args:
        contrasts: how many there are.
        channels: features of the levels; each but the first is at half the resolution of the one before.
    """

    def __init__(self, contrasts: int = 3, channels: Sequence[int] = (32, 64, 96, 128)) -> None:
        super().__init__()
        self.contrasts, self.conditions, self.stride = contrasts, 3 + 2 * contrasts, 2 ** (len(channels) - 1)
        self.unet = UNet(3, self.conditions, contrasts**2, channels, (2,) * (len(channels) - 1), num_res_units=2, norm="batch")

    def forward(self, x: Tensor) -> Tensor:
        """Return the image (B, 1, X, Y, Z). Raises ValueError where a side of x is no multiple of `stride`."""
        if not torch.jit.is_tracing() and any(n % self.stride for n in x.shape[2:]):
            raise ValueError(f"the sides of the input, {tuple(x.shape[2:])}, must be multiples of {self.stride}")
        own, wanted = x[:, 3 : 3 + self.contrasts], x[:, 3 + self.contrasts :]
        chosen = (own[:, :, None] * wanted[:, None]).flatten(1, 2)
        return x[:, :1].float() + (self.unet(x).float() * chosen).sum(1, keepdim=True) / 4
