"""The loss of networks that fill holes."""

from __future__ import annotations

from torch import Tensor

from medgen.networks.ladder_vae import LadderTerms
from medgen.training.losses import WarmedUpLoss


class HoleLoss(WarmedUpLoss):
    """The loss of `RepairVAE`, for both stages of its training, over the voxels of the hole alone.

    The target (B, C + 1, X, Y, Z) is the true image and the mask of the hole. Given the filled image (trunk stage): the
    logarithm of the root of the mean squared error of each image, so that a decibel gained counts the same in a thin slice
    as in a large hole, which is hard to fill.
    Given `LadderTerms` (ladder stage): the negative ELBO of the error around the mean, in nats a voxel of the hole;
    beta rises from 0 to 1 over the first `warmup` calls.
    """

    def __init__(self, floor: float = 1e-6, free_bits: float = 1e-4, warmup: int = 200) -> None:
        super().__init__(warmup)
        self.floor, self.free_bits = floor, free_bits

    def forward(self, output: Tensor | LadderTerms, target: Tensor) -> Tensor:
        """Return the scalar loss of a batch."""
        truth, mask = target[:, :-1], target[:, -1:]
        count = mask.sum(dim=(1, 2, 3, 4)).clamp_min(1)
        if isinstance(output, Tensor):
            squared = (mask * (output.float() - truth).square()).sum(dim=(1, 2, 3, 4)) / count
            return 0.5 * (squared + self.floor).log().mean()
        standard = (truth - output.mean.float() - output.residual) * (-output.log_scale).exp()
        surprise = (mask * (0.5 * standard.square() + output.log_scale)).sum() / count.sum()
        return surprise + self.beta() * output.kl.clamp_min(self.free_bits).sum()
