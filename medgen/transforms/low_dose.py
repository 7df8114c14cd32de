"""CT of unknown dose, for training: noise is reconstructed once a scan, and scaled anew for each crop."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform

from medgen.transforms.degrade import projection_noise

PHOTONS = 1e5  #: a usual dose, in photons a detector element; the noise of which is kept (float16 would not hold more)


class ProjectionNoised(MapTransform):
    """Add ``noise``, (2, X, Y, Z) float16: noise of photons and of electronics of a CT (1, X, Y, Z) in HU, at 1e5 photons.

    Slow (seconds a slice) and always the same for a scan, so that a caching dataset does it once.
    """

    def __init__(self, keys: KeysCollection, noise: str = "noise", seed: int = 0, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.noise, self.seed = noise, seed

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        for key in self.key_iterator(out):
            image = out[key]
            spacing = float(np.linalg.norm(np.asarray(image.affine, dtype=float)[:3, 0]))
            first, second = projection_noise(np.asarray(image[0]), spacing, np.random.RandomState(self.seed))
            scaled = np.stack([first / np.sqrt(PHOTONS), second / PHOTONS]).astype(np.float16)
            out[self.noise] = torch.from_numpy(scaled)
        return out


class RandLowDosed(RandomizableTransform, MapTransform):
    """Add ``data[noise]`` to an image in HU as of a random dose; with probability 1 - `prob` the image is left alone.

    Args:
        photons: I0 is drawn log-uniformly from this range.
        electronic: the detector's noise is drawn uniformly from this range, in photons.
    """

    def __init__(
        self,
        keys: KeysCollection,
        noise: str = "noise",
        prob: float = 0.9,
        photons: tuple[float, float] = (3e3, 1e5),
        electronic: tuple[float, float] = (0.0, 10.0),
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        self.noise, self.photons, self.electronic = noise, photons, electronic

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        self.randomize(None)
        if not self._do_transform:
            return out
        dose = float(np.exp(self.R.uniform(*np.log(self.photons)))) / PHOTONS
        electrons = self.R.uniform(*self.electronic)
        first, second = torch.as_tensor(out[self.noise]).float()
        for key in self.key_iterator(out):
            out[key] = out[key] + (first / dose**0.5 + electrons / dose * second)[None]
        return out
