"""A conditional VAE that fills holes: a residual U-Net over a DCT frame gives the mean fill, a ladder of latents others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medgen.networks.ladder_vae import LadderTerms, Latents
from medgen.networks.trunk import Trunk


class Fills(Latents):
    """A scale and latents at every level of the U-Net: a model of what is in a hole, beside its mean."""

    def __init__(self, channels: int, widths: Sequence[int], width: int, latents: int) -> None:
        super().__init__(channels, len(widths), width, latents)
        self._add_scale(channels, widths, width, start=0.1)

    def condition_on(self, features: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Return what the features tell each level, finest first, and the log of the likelihood's standard deviation."""
        told = [condition(f) for condition, f in zip(self.condition, features)]
        return told, self._log_scale(told[0])


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
        self.channels, self.latents = channels, latents
        self.trunk = Trunk(channels, widths, blocks, conditions=1)
        self.stride = self.trunk.stride
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

        See `Latents.deviation`; the draws are fills.
        """
        _, mask, features = self._mean(x[:, : self.channels + 1])
        told, log_scale = self.ladder.condition_on(features)
        return mask * self.ladder.deviation(told, log_scale, samples, seed)
