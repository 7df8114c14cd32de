"""Losses; weights come from the bundle's JSON."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from medgen.networks.ladder_vae import LadderTerms


class WarmedUpLoss(nn.Module):
    """A loss one of whose weights, `beta`, rises from 0 to 1 over the first `warmup` calls in training mode.

    The calls are part of its state, so that a training that is resumed goes on where it was; in evaluation mode beta is 1.
    """

    def __init__(self, warmup: int) -> None:
        super().__init__()
        self.warmup, self.calls = warmup, 0

    def beta(self) -> float:
        """Return the weight of this call, and count it."""
        if not self.training:
            return 1.0
        self.calls += 1
        return min(1.0, self.calls / max(self.warmup, 1))

    def get_extra_state(self) -> int:
        return self.calls

    def set_extra_state(self, state: int) -> None:
        self.calls = state


class LadderLoss(WarmedUpLoss):
    """The loss of `LadderVAE`, for both stages of its training.

    Given the mean (trunk stage): its root mean squared error to the `power`, taken for each image, so that strong noise
    does not rule; `floor` is the mean squared error below which little is gained. (From scratch, the logarithm, a PSNR
    loss, trained more slowly than power 1: faint noise then rules the gradient.)
    Given `LadderTerms` (ladder stage): the negative ELBO of the error around the mean,
    beta * sum of max(KL, free_bits) - log N(x; mean + residual, exp(log_scale)^2), in nats a voxel, without constants.
    Beta rises from 0 to 1 over the first `warmup` calls.
    """

    def __init__(self, power: float = 1.0, floor: float = 1e-4, free_bits: float = 1e-4, warmup: int = 500) -> None:
        super().__init__(warmup)
        self.power, self.floor, self.free_bits = power, floor, free_bits

    def forward(self, output: Tensor | LadderTerms, target: Tensor) -> Tensor:
        """Return the scalar loss of a batch (B, C, X, Y, Z)."""
        if isinstance(output, Tensor):
            mse = (target - output.float()).square().mean(dim=(1, 2, 3, 4))
            return (mse + self.floor).pow(self.power / 2).mean()
        standard = (target - output.mean.float() - output.residual) * (-output.log_scale).exp()
        likelihood = -(0.5 * standard.square() + output.log_scale).mean()
        return self.beta() * output.kl.clamp_min(self.free_bits).sum() - likelihood


def structural_loss(output: Tensor, target: Tensor, window: int = 7) -> Tensor:
    """Return 1 - SSIM (Wang et al. 2004; uniform window, data range 1), averaged over images (B, C, X, Y, Z)."""

    def mean(x: Tensor) -> Tensor:
        for sides in ((window, 1, 1), (1, window, 1), (1, 1, window)):  # a sixteenth of the work of a cube of 7
            x = F.avg_pool3d(x, sides, stride=1)
        return x

    a, b = mean(output), mean(target)
    covariance = mean(output * target) - a * b
    variances = (mean(output**2) - a**2).clamp_min(0) + (mean(target**2) - b**2).clamp_min(0)
    luminance = (2 * a * b + 0.01**2) / (a**2 + b**2 + 0.01**2)
    return 1 - (luminance * (2 * covariance + 0.03**2) / (variances + 0.03**2)).mean()


class RestorationLoss(nn.Module):
    """l1 * mean |error| + rmse * root of the mean squared error of each image + structural * (1 - SSIM).

    The root is taken for each image, so that those with much to restore do not rule.
    """

    def __init__(self, l1: float = 0.5, rmse: float = 0.5, structural: float = 0.02, floor: float = 1e-6) -> None:
        super().__init__()
        self.l1, self.rmse, self.structural, self.floor = l1, rmse, structural, floor

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss of a batch (B, C, X, Y, Z)."""
        output = output.float()
        error = output - target
        loss = self.l1 * error.abs().mean()
        loss = loss + self.rmse * (error.square().mean(dim=(1, 2, 3, 4)) + self.floor).sqrt().mean()
        return loss + self.structural * structural_loss(output, target) if self.structural else loss
