"""Whether a synthetic scan is a copy of one that its bundle was trained with: it is compared with each, and copies are refused."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform
from scipy.spatial.distance import cdist

from medgen.evaluation.features import Extractor
from medgen.evaluation.sampling import cube
from medgen.synthesis.nearest import coarse, distances
from medgen.weights import fault

NEAR = 0.5  #: of the smallest distance between scans of two subjects of the training: what is nearer is a copy


def described(image: np.ndarray, affine: np.ndarray, extractor: Extractor) -> tuple[np.ndarray, np.ndarray]:
    """Return a scan as it is compared: its `coarse` image, and its mean features."""
    how = extractor.sampling()
    volume = cube(image, affine, False, how)
    return coarse(volume), np.concatenate([rows.mean(0) for rows in extractor.features(volume, how).values()])


def limits(images: np.ndarray, features: np.ndarray, subjects: np.ndarray) -> tuple[float, float]:
    """Return the distances in image and feature space below which a scan is a copy, of the training's scans (n, ...)."""
    apart = subjects[:, None] != subjects[None]
    nearest = min(float(distances(images[subjects != subject], image).min()) for image, subject in zip(images, subjects))
    return NEAR * nearest, NEAR * float(cdist(features, features)[apart].min())


class RefuseCopiesd(MapTransform):
    """Raise ValueError where an image (1, X, Y, Z) is a copy of a scan of the training; say in ``data["report"]`` how near it comes.

    Args:
        path: what tests/benchmarks/neighbours.py made of the training's scans: "images", "features", "limits", and the hash of
            the extractor that the features are of.
        sha256: of that file, which is checked.
    """

    def __init__(self, keys: KeysCollection, path: str, sha256: str, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        wrong = fault(Path(path), sha256)
        if wrong:
            raise ValueError(f"{path}: the training's scans to compare with are {wrong}; install medgen again")
        with np.load(path) as stored:
            self.images, self.features = stored["images"].astype(np.float32), stored["features"].astype(np.float32)
            self.limits = [float(limit) for limit in stored["limits"]]
            made_by = str(stored["extractor"])
        self.extractor = Extractor()
        if made_by != self.extractor.sha256:
            raise ValueError(f"{path} is of another feature extractor; make it again with tests/benchmarks/neighbours.py")

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        for key in self.key_iterator(out):
            image = out[key]
            own, features = described(np.asarray(image[0]), np.asarray(image.affine, np.float64), self.extractor)
            found = [float(distances(self.images, own).min()), float(np.linalg.norm(self.features - features, axis=1).min())]
            for space, value, limit in zip(("image", "features"), found, self.limits):
                if value < limit:
                    raise ValueError(
                        f"the synthetic scan is a copy of a scan of the training (distance in {space} {value:.3g}, limit {limit:.3g}); "
                        "take another label map or seed"
                    )
            nearest = {space: {"distance": round(value, 4), "limit": round(limit, 4)} for space, value, limit in zip(("image", "features"), found, self.limits)}
            out["report"] = {**out.get("report", {}), "nearest_training_scan": nearest}
        return out
