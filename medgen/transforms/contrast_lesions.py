"""White matter lesions painted alike into several contrasts of one brain, so that a translation learns to keep them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable
from scipy.ndimage import gaussian_filter

from medgen.transforms.style import LEVEL

#: How much brighter a lesion is than the white matter around it, in shares of that: of 1300 voxels of a training patient's map, the means
#: were -0.19, +0.55 and +0.34 (T1 and T2 correlate by -0.79, T2 and FLAIR by 0.53).
GAINS = (-0.25, 0.7, 0.4)
NEAR = (0.07, 0.12, 0.08)  #: how far from `LEVEL` white matter may be


class RandContrastLesionsd(Randomizable, MapTransform):
    """Paint lesions into the white matter of T1, T2 and FLAIR (3, X, Y, Z) of one head, white matter at `LEVEL`; -1 where one is missing.

    White matter is where all contrasts are near its level. A lesion has one severity, which makes it dark in T1 and bright in
    T2 and FLAIR by `gains`, each with a factor of its own within 0.6 to 1.4.

    Args:
        prob: of painting any.
        gains: see `GAINS`, for a severity of 1; it is drawn from 0.2 to 1.4.
        share: largest share of the white matter that lesions fill.
    """

    def __init__(
        self, keys: KeysCollection, prob: float = 0.4, gains: Sequence[float] = GAINS, share: float = 0.05, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.prob, self.gains, self.share = prob, gains, share

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        for key in self.key_iterator(out):
            if self.R.uniform() < self.prob:
                out[key] = torch.from_numpy(self.painted(np.asarray(out[key], np.float32)))
        return out

    def painted(self, scans: np.ndarray) -> np.ndarray:
        """Return the scans with lesions; as they are where too little white matter is found."""
        there = [k for k, scan in enumerate(scans) if scan.max() > 0]
        white = np.all([np.abs(scans[k] - LEVEL) < NEAR[k] for k in there], 0) if there else np.zeros(scans.shape[1:], bool)
        if white.sum() < 500:
            return scans
        field = gaussian_filter(self.R.standard_normal(white.shape).astype(np.float32), self.R.uniform(1.0, 4.0), truncate=3.0)
        inside = white & (field > np.quantile(field[white], 1 - self.R.uniform(0.002, self.share)))
        soft = gaussian_filter(inside.astype(np.float32), 0.7, truncate=3.0) * self.R.uniform(0.2, 1.4)
        out = scans.copy()
        for k in there:
            out[k] *= 1 + self.gains[k] * self.R.uniform(0.6, 1.4) * soft
        return out.clip(-1)
