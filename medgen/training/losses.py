"""Losses; weights come from the bundle's JSON."""

from __future__ import annotations

from torch import Tensor, nn

from medgen.networks.ladder_vae import LadderTerms


class LadderLoss(nn.Module):
    """The loss of `LadderVAE`, for both stages of its training.

    Given the mean (trunk stage): its root mean squared error to the `power`, taken for each image, so that strong noise
    does not rule; `floor` is the mean squared error below which little is gained. (From scratch, the logarithm, a PSNR
    loss, trained more slowly than power 1: faint noise then rules the gradient.)
    Given `LadderTerms` (ladder stage): the negative ELBO of the error around the mean,
    beta * sum of max(KL, free_bits) - log N(x; mean + residual, exp(log_scale)^2), in nats a voxel, without constants.
    Beta rises from 0 to 1 over the first `warmup` calls.
    """

    def __init__(self, power: float = 1.0, floor: float = 1e-4, free_bits: float = 1e-4, warmup: int = 500) -> None:
        super().__init__()
        self.power, self.floor, self.free_bits, self.warmup = power, floor, free_bits, warmup
        self.calls = 0

    def forward(self, output: Tensor | LadderTerms, target: Tensor) -> Tensor:
        """Return the scalar loss of a batch (B, C, X, Y, Z)."""
        if isinstance(output, Tensor):
            mse = (target - output.float()).square().mean(dim=(1, 2, 3, 4))
            return (mse + self.floor).pow(self.power / 2).mean()
        self.calls += 1
        beta = min(1.0, self.calls / max(self.warmup, 1))
        standard = (target - output.mean.float() - output.residual) * (-output.log_scale).exp()
        likelihood = -(0.5 * standard.square() + output.log_scale).mean()
        return beta * output.kl.clamp_min(self.free_bits).sum() - likelihood
