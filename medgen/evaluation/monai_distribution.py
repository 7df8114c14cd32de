"""The metrics of sets of images for MONAI: classes that gather features batch by batch, and tell at the end of the epoch.

    "key_metric": {
        "frechet": {
            "_target_": "IgniteMetricHandler",
            "metric_fn": {
                "_target_": "medgen.evaluation.monai_distribution.FrechetDistance",
                "extractor": {"_target_": "medgen.evaluation.features.Extractor"},
                "kind": "volume"
            },
            "output_transform": "$monai.handlers.from_engine(['pred', 'label'])"
        }
    }

Each takes what was generated and what is real, as many of each, though none belongs to another: images (B, 1, ...) of which
an extractor makes features, or the features (B, d) themselves. Over several processes the features of all count.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from monai.metrics.metric import CumulativeIterationMetric

from medgen.evaluation import distribution, diversity
from medgen.evaluation.features import VOLUME, Extractor


class DistributionMetric(CumulativeIterationMetric):
    """A pure function of the features of what is real and of what was generated.

    Args:
        extractor: makes features of the images; None where features are given.
        kind: "planes" for slices (B, 1, X, Y) or "volume" for crops (B, 1, X, Y, Z), air 0 and bright 1, at the spacing and of
            the size of the extractor's `sampling`.
    """

    def __init__(self, extractor: Extractor | None = None, kind: str = VOLUME) -> None:
        super().__init__()
        if extractor is not None and kind not in extractor.networks:
            raise ValueError(f"{extractor.name} has features of {', '.join(extractor.networks)}, not of {kind}")
        self.extractor, self.kind = extractor, kind

    @abstractmethod
    def measure(self, real: np.ndarray, generated: np.ndarray) -> float:
        """Return the value for two sets of features (n, d)."""

    def aggregate(self) -> torch.Tensor:
        """Return the value for all that was given since the last `reset`. Raises ValueError for too few images."""
        held = self.get_buffer()
        if held is None:
            raise ValueError("no images were given")
        generated, real = torch.as_tensor(held).numpy(force=True).reshape(len(held), 2, -1).swapaxes(0, 1)
        return torch.tensor(self.measure(real, generated), dtype=torch.float64)

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:  # type: ignore[override]
        if y is None:
            raise ValueError("both what was generated and what is real are needed")
        return torch.stack([self._features(y_pred), self._features(y)], dim=1)

    def _features(self, images: torch.Tensor) -> torch.Tensor:
        images = images.detach()
        if self.extractor is not None:
            images = torch.from_numpy(self.extractor.of(images[:, 0], self.kind)).to(images.device)
        return images.double()


class FrechetDistance(DistributionMetric):
    """`distribution.frechet_distance`."""

    def measure(self, real: np.ndarray, generated: np.ndarray) -> float:
        return distribution.frechet_distance(real, generated)


class ExtrapolatedFrechet(DistributionMetric):
    """`distribution.extrapolated_frechet`; NaN for fewer than 4 images."""

    def measure(self, real: np.ndarray, generated: np.ndarray) -> float:
        value = distribution.extrapolated_frechet(real, generated)
        return float("nan") if value is None else value


class KernelDistance(DistributionMetric):
    """`distribution.kernel_distance`, polynomial."""

    def measure(self, real: np.ndarray, generated: np.ndarray) -> float:
        return distribution.kernel_distance(real, generated)


class Precision(DistributionMetric):
    """The first of `distribution.precision_recall`."""

    def measure(self, real: np.ndarray, generated: np.ndarray) -> float:
        return distribution.precision_recall(real, generated)[0]


class Recall(DistributionMetric):
    """The second of `distribution.precision_recall`."""

    def measure(self, real: np.ndarray, generated: np.ndarray) -> float:
        return distribution.precision_recall(real, generated)[1]


class Density(DistributionMetric):
    """The first of `distribution.density_coverage`."""

    def measure(self, real: np.ndarray, generated: np.ndarray) -> float:
        return distribution.density_coverage(real, generated)[0]


class Coverage(DistributionMetric):
    """The second of `distribution.density_coverage`."""

    def measure(self, real: np.ndarray, generated: np.ndarray) -> float:
        return distribution.density_coverage(real, generated)[1]


class ClassScore(DistributionMetric):
    """`distribution.class_score` of what was generated; wants an extractor with classes."""

    def measure(self, real: np.ndarray, generated: np.ndarray) -> float:
        if self.extractor is None or not self.extractor.has_classes(self.kind):
            raise ValueError("the class score wants an extractor with classes")
        return distribution.class_score(self.extractor.probabilities(generated, self.kind))


class VendiScore(DistributionMetric):
    """`diversity.vendi_score` of what was generated."""

    def measure(self, real: np.ndarray, generated: np.ndarray) -> float:
        return diversity.vendi_score(generated)


class Uniformity(DistributionMetric):
    """`diversity.uniformity` of what was generated."""

    def measure(self, real: np.ndarray, generated: np.ndarray) -> float:
        return diversity.uniformity(generated)


class Richness(DistributionMetric):
    """`diversity.richness` of what was generated."""

    def measure(self, real: np.ndarray, generated: np.ndarray) -> float:
        return diversity.richness(generated)


class NearestReal(DistributionMetric):
    """The median of `diversity.nearest` from what was generated to what is real: give training images as real."""

    def measure(self, real: np.ndarray, generated: np.ndarray) -> float:
        return float(np.median(diversity.nearest(generated, real)[0]))


class PairwiseMSSSIM(CumulativeIterationMetric):
    """`diversity.pairwise_ms_ssim` of what was generated, (B, 1, ...); the real images are not looked at."""

    def __init__(self, data_range: float, pairs: int = 100) -> None:
        super().__init__()
        self.data_range, self.pairs = data_range, pairs

    def aggregate(self) -> torch.Tensor:
        """Return the value for all that was given since the last `reset`; NaN for fewer than 2 images."""
        held = self.get_buffer()
        images = list(held.numpy(force=True)) if isinstance(held, torch.Tensor) else []
        value = diversity.pairwise_ms_ssim(images, pairs=self.pairs, data_range=self.data_range)
        return torch.tensor(float("nan") if value is None else value, dtype=torch.float64)

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:  # type: ignore[override]
        return y_pred.detach()[:, 0]
