"""A conditional VAE that fills holes: a residual U-Net over a DCT frame gives the mean fill, a ladder of latents others."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medgen.networks.ladder_vae import FLOOR, LadderTerms, Latents
from medgen.networks.trunk import Trunk


class Fills(Latents):
    """A scale and latents at every level of the U-Net: a model of what is in a hole, beside its mean."""

    def __init__(self, channels: int, widths: Sequence[int], width: int, latents: int) -> None:
        super().__init__(channels, len(widths), width, latents)
        self.condition = nn.ModuleList(nn.Conv3d(w, width, 1) for w in widths)
        self.scale_mix = nn.Conv3d(width, width, 3, padding=1)
        self.scale = nn.ConvTranspose3d(width, channels, 2, stride=2)
        nn.init.zeros_(self.scale.weight)
        nn.init.constant_(self.scale.bias, math.log(0.1 - FLOOR))  # type: ignore[arg-type]

    def condition_on(self, features: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Return what the features tell each level, finest first, and the log of the likelihood's standard deviation."""
        told = [condition(f) for condition, f in zip(self.condition, features)]
        log_scale = self.scale(F.relu(self.scale_mix(F.relu(told[0])))).float()
        return told, (log_scale.clamp(-8, 1).exp() + FLOOR).log()


class RepairVAE(nn.Module):
    """Fill the hole of an image, and say how else it might be filled.

    The input (B, C + 1, X, Y, Z) is the image with a rough fill in its hole, and the mask: 1 in the hole, 0 outside.
    ``network(x)`` gives the image with the conditional mean in its hole, one deterministic tensor (B, C, X, Y, Z). With a
    channel more, of standard normal noise, it gives one of many fills instead, drawn by that noise: tiles of one image
    with its noise fit together. ``network.uncertainty(x)`` is the standard deviation in each voxel. Where the mask is 0
    the image is returned as it came, and the uncertainty is 0. Fully convolutional, no norm; sides must be multiples of
    ``network.stride``.

    Args:
        channels: image channels C.
        widths: channels of the U-Net at 1/2, 1/4 ... of the resolution.
        blocks: residual blocks of each of these levels, in the encoder and (but the last) in the decoder.
        ladder_width: channels of the ladder.
        latents: latent channels of each level, at most 4.
    """

    def __init__(
        self,
        channels: int = 1,
        widths: Sequence[int] = (32, 64, 128, 80),
        blocks: Sequence[int] = (2, 2, 2, 2),
        ladder_width: int = 16,
        latents: int = 4,
    ) -> None:
        super().__init__()
        if latents > 4:
            raise ValueError(f"latents must be at most 4, not {latents}: a cell of 2x2x2 voxels of noise has no more to give")
        self.stride, self.channels, self.latents = 2 ** len(widths), channels, latents
        self.trunk = Trunk(channels, widths, blocks, conditions=1)
        self.ladder = Fills(channels, widths, ladder_width, latents)

    def forward(self, x: Tensor, target: Tensor | None = None) -> Tensor | LadderTerms:
        """Return the filled image; with a target (training; image channels first), the terms of the ELBO."""
        mean, mask, features = self._mean(x[:, : self.channels + 1])
        if target is not None:
            told, log_scale = self.ladder.condition_on([f.detach() for f in features])
            error = mask * (target[:, : self.channels] - mean.detach())
            residual, kl = self.ladder.draw(told, error, None)
            return LadderTerms(mean, mask * residual, log_scale, kl / mask.sum().clamp_min(1))
        if x.shape[1] == self.channels + 1:
            return mean
        told, _ = self.ladder.condition_on(features)
        residual, _ = self.ladder.draw(told, None, None, noise=self._noise(x[:, self.channels + 1 :].float()))
        return mean + mask * residual

    def _mean(self, x: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        if not torch.jit.is_tracing() and any(n % self.stride for n in x.shape[2:]):
            raise ValueError(f"the sides of the input, {tuple(x.shape[2:])}, must be multiples of {self.stride}")
        image, mask = x[:, : self.channels].float(), x[:, self.channels :].float()
        mean, features = self.trunk(image, mask)
        return torch.where(mask > 0, mean, image), mask, features

    def _noise(self, noise: Tensor) -> list[Tensor]:
        """Return the noise of each level's latents, finest first: voxels of the one channel, none of them used twice."""
        levels = []
        for level in range(len(self.ladder.mix)):
            side, first = 2 ** (level + 1), 2**level - 1
            corners = [noise[:, :, first::side, a::side, b::side] for a in (0, 1) for b in (0, 1)]
            levels.append(torch.cat(corners[: self.latents], 1))
        return levels

    @torch.no_grad()
    def uncertainty(self, x: Tensor, samples: int = 8, seed: int = 0) -> Tensor:
        """Return the standard deviation of the truth given x, (B, C, X, Y, Z), in the units of x; 0 outside the hole.

        The law of total variance: the likelihood's variance plus that of `samples` fills.
        """
        _, mask, features = self._mean(x[:, : self.channels + 1])
        told, log_scale = self.ladder.condition_on(features)
        generator = torch.Generator(x.device).manual_seed(seed)
        draws = torch.stack([self.ladder.draw(told, None, generator)[0] for _ in range(samples)])
        return mask * ((2 * log_scale).exp() + draws.var(0, correction=min(1, samples - 1))).sqrt()
