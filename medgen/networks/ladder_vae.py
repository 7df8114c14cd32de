"""A 3D conditional ladder VAE for restoration: a bias-free trunk gives the mean, a ladder of latents its uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medgen.networks.trunk import Trunk

FLOOR = 0.005  #: least standard deviation, of a scan whose robust maximum is 1: a clean scan's would have no bound


class LadderTerms(NamedTuple):
    """What the loss needs of one forward pass with a target (all of shape (B, C, X, Y, Z) but `kl`)."""

    mean: Tensor  #: E[x|y], the restored image
    residual: Tensor  #: decoded from one posterior sample: the expected x - mean
    log_scale: Tensor  #: log of the standard deviation of x around mean + residual
    kl: Tensor  #: (levels,) Kullback-Leibler divergence of each level, in nats a voxel of the image


class Latents(nn.Module):
    """Latents at every level of a trunk, coarsest first, that decode to an expected error of its mean.

    The prior p(z|y) sees what a subclass tells each level of y; the posterior q(z|x,y) also sees the trunk's error
    x - mean (ladder VAE: Sonderby 2016).
    """

    def __init__(self, channels: int, levels: int, width: int, latents: int) -> None:
        super().__init__()
        self.error = nn.Conv3d(channels, width, 2, stride=2)
        self.error_down = nn.ModuleList(nn.Conv3d(width, width, 2, stride=2) for _ in range(levels - 1))
        self.mix = nn.ModuleList(nn.Conv3d(width, width, 3, padding=1) for _ in range(levels))
        self.prior = nn.ModuleList(nn.Conv3d(width, 2 * latents, 1) for _ in range(levels))
        self.posterior = nn.ModuleList(nn.Conv3d(2 * width, 2 * latents, 1) for _ in range(levels))
        self.decode = nn.ModuleList(nn.Conv3d(latents, width, 1) for _ in range(levels))
        self.up = nn.ModuleList(nn.ConvTranspose3d(width, width, 2, stride=2) for _ in range(levels - 1))
        self.residual = nn.ConvTranspose3d(width, channels, 2, stride=2)
        for layer in [*self.prior, *self.posterior, self.residual]:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def _add_scale(self, channels: int, widths: Sequence[int], width: int, start: float) -> None:
        """Add what takes the trunk's features to each level, and the scale of the likelihood, `start` at first."""
        self.condition = nn.ModuleList(nn.Conv3d(w, width, 1) for w in widths)
        self.scale_mix = nn.Conv3d(width, width, 3, padding=1)
        self.scale = nn.ConvTranspose3d(width, channels, 2, stride=2)
        nn.init.zeros_(self.scale.weight)
        nn.init.constant_(self.scale.bias, math.log(start - FLOOR))  # type: ignore[arg-type]

    def _log_scale(self, finest: Tensor) -> Tensor:
        """Return the log of the likelihood's standard deviation, of what the finest level is told."""
        log_scale = self.scale(F.relu(self.scale_mix(F.relu(finest)))).float()
        return (log_scale.clamp(-8, 1).exp() + FLOOR).log()

    def deviation(self, told: Sequence[Tensor], log_scale: Tensor, samples: int, seed: int) -> Tensor:
        """Return the standard deviation of x given y by the law of total variance.

        The likelihood's variance plus the variance of the residuals decoded from `samples` draws of the latents (which
        has no meaning for one sample and is then left out).
        """
        generator = torch.Generator(log_scale.device).manual_seed(seed)
        first, second = (torch.zeros_like(log_scale) for _ in range(2))
        for _ in range(samples):
            residual, _ = self.draw(told, None, generator)
            first += residual
            second += residual**2
        spread = (second - first**2 / samples) / max(samples - 1, 1)
        return ((2 * log_scale).exp() + spread.clamp_min(0)).sqrt()

    def _pyramid(self, x: Tensor, first: nn.Module, down: nn.ModuleList) -> list[Tensor]:
        levels = [F.relu(first(x))]
        for layer in down:
            levels.append(F.relu(layer(levels[-1])))
        return levels

    def draw(
        self,
        told: Sequence[Tensor],
        error: Tensor | None,
        generator: torch.Generator | None,
        noise: Sequence[Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw the latents and decode the residual; from the posterior where there is an `error`, else from the prior.

        `noise` is the standard normal noise of each level, finest first, where it is not to be drawn here.
        The second is the divergence of each level, summed over latents and voxels; of the prior, empty.
        """
        seen = None if error is None else self._pyramid(10 * error, self.error, self.error_down)
        kl: list[Tensor] = []
        x: Tensor | None = None
        for level in reversed(range(len(told))):
            h = told[level] if x is None else told[level] + self.up[level](x)
            h = F.relu(self.mix[level](F.relu(h)))
            prior_mean, prior_log = self.prior[level](h).float().chunk(2, 1)
            prior_log = prior_log.clamp(-5, 3)
            z_mean, z_log = prior_mean, prior_log
            if seen is not None:
                z_mean, z_log = self.posterior[level](torch.cat([h, seen[level]], 1)).float().chunk(2, 1)
                z_log = (prior_log + z_log).clamp(-5, 3)
                z_mean = prior_mean + z_mean
                divergence = prior_log - z_log - 0.5
                divergence = divergence + 0.5 * ((2 * z_log).exp() + (z_mean - prior_mean) ** 2) / (2 * prior_log).exp()
                kl.append(divergence.sum())
            drawn = torch.randn(z_mean.shape, generator=generator, device=z_mean.device) if noise is None else noise[level]
            x = h + self.decode[level]((z_mean + z_log.exp() * drawn).to(h.dtype))
        return self.residual(x).float(), torch.stack(kl) if kl else torch.zeros(0, device=told[0].device)


class Ladder(Latents):
    """A scale and latents at every level of the trunk: a model of what the trunk could not know.

    The prior sees the trunk's features, and the noise that the trunk removed with its local level (for denoising: HDN,
    Prakash 2022). The scale of the likelihood sees no latents: where they told it, the posterior's told the scale of the
    error that it had seen, and draws from the prior were three times too sure of themselves.
    """

    def __init__(self, channels: int, widths: Sequence[int], width: int, latents: int) -> None:
        super().__init__(channels, len(widths), width, latents)
        self.noise = nn.Conv3d(3 * channels, width, 2, stride=2)
        self.noise_down = nn.ModuleList(nn.Conv3d(width, width, 2, stride=2) for _ in range(len(widths) - 1))
        self._add_scale(channels, widths, width, start=0.03)

    def condition_on(self, y: Tensor, mean: Tensor, features: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Return what y tells each level, finest first, and the log of the likelihood's standard deviation."""
        removed = y - mean
        level = F.avg_pool3d(removed.square(), 5, stride=1, padding=2, count_include_pad=False).add(1e-8).log() / 2 + 3
        noise = self._pyramid(torch.cat([y, removed.abs(), level], 1), self.noise, self.noise_down)
        told = [condition(f) + n for condition, f, n in zip(self.condition, features, noise)]
        return told, self._log_scale(told[0])


class LadderVAE(nn.Module):
    """Restore an image and say how sure the result is.

    ``network(y)`` gives the conditional mean E[x|y], one deterministic tensor of y's shape; ``network.uncertainty(y)``
    the standard deviation of x given y in each voxel. Fully convolutional; nothing depends on the window but the
    receptive field. Sides of y must be multiples of ``network.stride``.

    Args:
        channels: image channels.
        widths: channels of the trunk at 1/2, 1/4, 1/8 ... of the resolution.
        blocks: residual blocks of each of these levels, in the encoder and again in the decoder.
        ladder_width: channels of the ladder.
        latents: latent channels of each level.
    """

    def __init__(
        self,
        channels: int = 1,
        widths: Sequence[int] = (32, 64, 128),
        blocks: Sequence[int] = (2, 2, 2),
        ladder_width: int = 16,
        latents: int = 4,
    ) -> None:
        super().__init__()
        self.trunk = Trunk(channels, widths, blocks)
        self.stride = self.trunk.stride
        self.ladder = Ladder(channels, widths, ladder_width, latents)

    def forward(self, y: Tensor, target: Tensor | None = None) -> Tensor | LadderTerms:
        """Return E[x|y] of shape (B, C, X, Y, Z); with a target (training), the terms of the ELBO."""
        mean, features = self.trunk(y)
        if target is None:
            return mean
        kept = mean.detach()
        told, log_scale = self.ladder.condition_on(y, kept, [f.detach() for f in features])
        residual, kl = self.ladder.draw(told, target - kept, None)
        return LadderTerms(mean, residual, log_scale, kl / y.numel())

    @torch.no_grad()
    def uncertainty(self, y: Tensor, samples: int = 8, seed: int = 0) -> Tensor:
        """Return the standard deviation of x given y, (B, C, X, Y, Z), in the units of y; see `Latents.deviation`."""
        mean, features = self.trunk(y)
        told, log_scale = self.ladder.condition_on(y, mean, features)
        return self.ladder.deviation(told, log_scale, samples, seed)
