"""The metrics of this package for MONAI: `monai.metrics` classes, which a bundle's evaluate.json names in MONAI's handler.

    "key_metric": {
        "ssim": {
            "_target_": "IgniteMetricHandler",
            "metric_fn": {"_target_": "medgen.evaluation.monai_metrics.SSIM", "data_range": 1.0},
            "output_transform": "$monai.handlers.from_engine(['pred', 'label'])"
        }
    }

Each takes the prediction and the label as (B, C, X, Y, Z), or lists of (C, X, Y, Z), and gives one value an image and channel;
NaN, which MONAI's reductions leave out, where the metric is not defined.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from monai.metrics.regression import RegressionMetric
from monai.utils import MetricReduction

from medgen.evaluation import image_quality, structure
from medgen.evaluation.edges import edges_kept, gradient_kept
from medgen.evaluation.pairs import check
from medgen.evaluation.without_reference import noise_level, sharpness, slice_consistency


class ImageMetric(RegressionMetric):
    """A pure function of two arrays, for each image and channel of a batch.

    Raises ValueError for what no metric can be of: unequal shapes, values that are not finite.
    """

    @abstractmethod
    def measure(self, candidate: np.ndarray, reference: np.ndarray) -> float:
        """Return the value for one channel of one image; a ValueError says that it has none."""

    def _compute_metric(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        values = [[self._value(*channel) for channel in zip(*pair)] for pair in zip(_arrays(y_pred), _arrays(y))]
        return torch.tensor(values, dtype=torch.float64, device=y_pred.device)

    def _value(self, candidate: np.ndarray, reference: np.ndarray) -> float:
        check(candidate, reference)
        try:
            return self.measure(candidate, reference)
        except ValueError:
            return float("nan")


class RangedMetric(ImageMetric):
    """A metric that wants the range of values that images of this kind have; it has no default."""

    def __init__(
        self, data_range: float, reduction: MetricReduction | str = MetricReduction.MEAN, get_not_nans: bool = False
    ) -> None:
        super().__init__(reduction=reduction, get_not_nans=get_not_nans)
        if not data_range > 0:
            raise ValueError(f"the data range must be above 0 and finite, not {data_range}")
        self.data_range = data_range


class PSNR(RangedMetric):
    """`image_quality.psnr`, dB; identical images give infinity."""

    def measure(self, candidate: np.ndarray, reference: np.ndarray) -> float:
        return image_quality.psnr(candidate, reference, self.data_range)


class SSIM(RangedMetric):
    """`structure.ssim`: the value of `monai.metrics.SSIMMetric`, many times quicker, and for thin volumes too."""

    def measure(self, candidate: np.ndarray, reference: np.ndarray) -> float:
        return structure.ssim(candidate, reference, self.data_range)


class MSSSIM(RangedMetric):
    """`structure.ms_ssim`; NaN for images without room for `scales`."""

    def __init__(
        self,
        data_range: float,
        scales: int = len(structure.WEIGHTS),
        reduction: MetricReduction | str = MetricReduction.MEAN,
        get_not_nans: bool = False,
    ) -> None:
        super().__init__(data_range, reduction, get_not_nans)
        self.scales = scales

    def measure(self, candidate: np.ndarray, reference: np.ndarray) -> float:
        return structure.ms_ssim(candidate, reference, self.data_range, self.scales)


class MAE(ImageMetric):
    """`image_quality.mae`, in the images' units."""

    def measure(self, candidate: np.ndarray, reference: np.ndarray) -> float:
        return image_quality.mae(candidate, reference)


class RMSE(ImageMetric):
    """`image_quality.rmse`, in the images' units."""

    def measure(self, candidate: np.ndarray, reference: np.ndarray) -> float:
        return image_quality.rmse(candidate, reference)


class NMSE(ImageMetric):
    """`image_quality.nmse`."""

    def measure(self, candidate: np.ndarray, reference: np.ndarray) -> float:
        return image_quality.nmse(candidate, reference)


class Bias(ImageMetric):
    """`image_quality.bias`, in the images' units."""

    def measure(self, candidate: np.ndarray, reference: np.ndarray) -> float:
        return image_quality.bias(candidate, reference)


class GradientKept(ImageMetric):
    """`edges.gradient_kept`, with the voxel size `spacing` (all 1: by voxels)."""

    def __init__(
        self,
        spacing: Sequence[float] = (1.0, 1.0, 1.0),
        reduction: MetricReduction | str = MetricReduction.MEAN,
        get_not_nans: bool = False,
    ) -> None:
        super().__init__(reduction=reduction, get_not_nans=get_not_nans)
        self.spacing = spacing

    def measure(self, candidate: np.ndarray, reference: np.ndarray) -> float:
        return gradient_kept(candidate, reference, self.spacing)


class EdgesKept(ImageMetric):
    """`edges.edges_kept`."""

    def measure(self, candidate: np.ndarray, reference: np.ndarray) -> float:
        return edges_kept(candidate, reference)


class MetricOfPrediction(ImageMetric):
    """A metric without a reference, slices across `slice_axis`; the label is not looked at."""

    def __init__(
        self,
        slice_axis: int = 2,
        reduction: MetricReduction | str = MetricReduction.MEAN,
        get_not_nans: bool = False,
    ) -> None:
        super().__init__(reduction=reduction, get_not_nans=get_not_nans)
        self.slice_axis = slice_axis


class NoiseLevel(MetricOfPrediction):
    """`without_reference.noise_level`, in the image's units."""

    def measure(self, candidate: np.ndarray, reference: np.ndarray) -> float:
        return noise_level(candidate, self.slice_axis)


class Sharpness(MetricOfPrediction):
    """`without_reference.sharpness` in the slices."""

    def measure(self, candidate: np.ndarray, reference: np.ndarray) -> float:
        return sharpness(candidate, self.slice_axis)[0]


class SliceConsistency(MetricOfPrediction):
    """The mean correlation of neighbouring slices of `without_reference.slice_consistency`."""

    def measure(self, candidate: np.ndarray, reference: np.ndarray) -> float:
        return slice_consistency(candidate, self.slice_axis)[0]


def _arrays(batch: torch.Tensor) -> np.ndarray:
    return batch.detach().cpu().to(torch.promote_types(batch.dtype, torch.float32)).numpy()
