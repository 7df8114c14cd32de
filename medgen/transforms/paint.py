"""Images painted from label maps, of any contrast and free of noise: the clean targets that real scans cannot be."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable
from scipy.ndimage import gaussian_filter

from medgen.transforms.degrade import smooth_field


class RandPaintLabelsd(Randomizable, MapTransform):
    """Turn a label map (1, X, Y, Z) into a clean image of random contrast in [0, 1] (SynthSeg: Billot et al. 2023).

    Every label gets a random mean and a texture of its own (smooth random fields of a random correlation length), then
    the whole a blur (partial volume) and a smooth bias field. Label 0 is air and stays exactly 0 with `prob_air`.
    """

    def __init__(
        self,
        keys: KeysCollection,
        labels: int = 256,
        texture: float = 0.06,
        blur: tuple[float, float] = (0.3, 1.0),
        bias: float = 1.4,
        prob_air: float = 0.9,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.labels, self.texture, self.blur, self.bias, self.prob_air = labels, texture, blur, bias, prob_air

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        for key in self.key_iterator(out):
            labels = np.asarray(out[key][0]).astype(np.int64)
            means = self.R.uniform(0.0, 1.0, self.labels).astype(np.float32)
            texture = (self.texture * self.R.uniform(0.0, 1.0, self.labels) ** 2).astype(np.float32)
            if self.R.uniform() < self.prob_air:
                means[0] = texture[0] = 0.0
            field = self.R.standard_normal(labels.shape).astype(np.float32)
            field = gaussian_filter(field, self.R.uniform(0.5, 2.0))
            image = means[labels] + texture[labels] * field / max(float(field.std()), 1e-6)
            image = gaussian_filter(image, self.R.uniform(*self.blur, size=3))
            image = image * smooth_field(labels.shape, 1 / self.bias, self.bias, self.R)
            out[key] = torch.from_numpy(np.clip(image, 0.0, 2.0).astype(np.float32))[None]
        return out
