"""Scans made of the phantom head: each class as bright as in a contrast, so that all that is measured is known."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from medgen.anatomy.classes import NAMES, classes_of

#: brightness of white matter 1: cortex, ventricles, deep grey, fluid, lesion (of any kind)
LEVELS = {"T1": (0.75, 0.4, 0.9, 0.35, 0.6), "T1c": (0.75, 0.4, 0.9, 0.35, 2.2), "T2": (1.2, 2.6, 1.2, 2.6, 2.0), "FLAIR": (1.15, 0.4, 1.1, 0.4, 1.6)}


def painted(labels: np.ndarray, scheme: str, contrast: str, noise: float = 0.03, seed: int = 0) -> np.ndarray:
    """Return an image (float32) of a label map, blurred a little and with noise."""
    cortex, ventricle, deep, fluid, lesion = LEVELS[contrast]
    level = np.zeros(len(NAMES), np.float32)
    level[[1, 2, 3, 4, 5, 6, 7, 8, 9]] = cortex, 1, ventricle, deep, cortex, cortex, 1, 0.95, fluid
    level[[10, 11, 12, 13, 14, 15, 16]] = 0.1, 0.5, 0.8, lesion, lesion, lesion, (1 + lesion) / 2
    image = gaussian_filter(level[classes_of(labels, scheme)], 0.5)
    return np.asarray(300 * (image + noise * np.random.default_rng(seed).standard_normal(image.shape)).clip(0), np.float32)
