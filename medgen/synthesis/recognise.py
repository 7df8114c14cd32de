"""MONAI transforms around a translation from one contrast to another: the scan's own contrast and brightness are found."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from medgen.evaluation.segmenter import Segmenter
from medgen.synthesis.contrast import LEAST, contrast_of
from medgen.transforms.style import LEVEL, WHITE
from medgen.transforms.translate import CONTRASTS, Curves, tell


class TellContrastsd(MapTransform):
    """Replace a brain MR (1, X, Y, Z) by what a generator is told that translates it (`medgen.transforms.translate`).

    The white matter is found by medgen's segmenter and brought to `LEVEL`; the scan's contrast is told by its tissues
    (`medgen.synthesis.contrast`), a T1 after a contrast agent counting as T1. What was found goes to ``data["report"]``.

    Args:
        curves: see `tell`.
        contrast: that is wanted, one of `CONTRASTS`.
        source: the scan's own, "auto" to find it.

    Raises ValueError where there is no white matter to go by, or where the scan has the wanted contrast already.
    """

    def __init__(
        self, keys: KeysCollection, curves: Curves, contrast: str = "T2", source: str = "auto", allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.curves, self.contrast, self.source = curves, contrast, source
        self.segmenter = Segmenter("brain-any")

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        for key in self.key_iterator(out):
            scan: MetaTensor = out[key]
            image = np.asarray(scan[0], np.float32).clip(0)
            affine = np.asarray(scan.affine, np.float64)
            classes = self.segmenter.classes(image, affine)
            white = image[classes == WHITE]
            if len(white) < LEAST or not (level := float(np.median(white))) > 0:
                raise ValueError(f"no white matter was found ({len(white)} voxels) to scale the scan by: is it an MR of a brain?")
            source = self.source
            if source == "auto":
                found = contrast_of(image, classes).contrast
                source = "T1" if found == "T1c" else found
            if source == self.contrast:
                others = " or ".join(name for name in CONTRASTS if name != source)
                raise ValueError(f"the scan is {source} already; choose another contrast, {others}, or name the scan's own by source=")
            spacing = np.linalg.norm(affine[:3, :3], axis=0)
            told = tell(torch.from_numpy(image * (LEVEL / level))[None], spacing.tolist(), source, self.contrast, self.curves)
            out[key] = MetaTensor(told, meta=scan.meta, applied_operations=scan.applied_operations)
            out["report"] = {"translated": {"from": source, "to": self.contrast, "white_matter": round(level, 4)}}
        return out
