"""The metrics of this package for MONAI: `monai.metrics` classes, which a bundle's evaluate.json names in MONAI's handler.

    "key_metric": {
        "ssim": {
            "_target_": "IgniteMetricHandler",
            "metric_fn": {"_target_": "medgen.evaluation.monai_metrics.SSIM", "data_range": 1.0},
            "output_transform": "$monai.handlers.from_engine(['pred', 'label'])"
        }
    }

Each takes the prediction and the label as (B, C, X, Y, Z), or lists of (C, X, Y, Z), and gives one value an image and channel;
NaN, which MONAI's reductions leave out, where the metric is not defined. `PerLabel` takes one of them inside each label of a
label map, or inside a mask.
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

    masked = True  #: whether it can be of a part of an image

    @abstractmethod
    def measure(self, candidate: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None) -> float:
        """Return the value for one channel of one image, or inside a mask; a ValueError says that it has none."""

    def _compute_metric(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        values = [[self.value(*channel) for channel in zip(*pair)] for pair in zip(_arrays(y_pred), _arrays(y))]
        return torch.tensor(values, dtype=torch.float64, device=y_pred.device)

    def value(self, candidate: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None) -> float:
        """Return `measure`, or NaN where it has no value."""
        check(candidate, reference)
        try:
            return self.measure(candidate, reference, mask)
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

    def measure(self, candidate: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None) -> float:
        return image_quality.psnr(candidate, reference, self.data_range, mask)


class SSIM(RangedMetric):
    """`structure.ssim`: the value of `monai.metrics.SSIMMetric`, many times quicker, and for thin volumes too."""

    def measure(self, candidate: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None) -> float:
        return structure.ssim(candidate, reference, self.data_range, mask)


class MSSSIM(RangedMetric):
    """`structure.ms_ssim`; NaN for images without room for `scales`."""

    masked = False

    def __init__(
        self,
        data_range: float,
        scales: int = len(structure.WEIGHTS),
        reduction: MetricReduction | str = MetricReduction.MEAN,
        get_not_nans: bool = False,
    ) -> None:
        super().__init__(data_range, reduction, get_not_nans)
        self.scales = scales

    def measure(self, candidate: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None) -> float:
        return structure.ms_ssim(candidate, reference, self.data_range, self.scales)


class MAE(ImageMetric):
    """`image_quality.mae`, in the images' units."""

    def measure(self, candidate: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None) -> float:
        return image_quality.mae(candidate, reference, mask)


class RMSE(ImageMetric):
    """`image_quality.rmse`, in the images' units."""

    def measure(self, candidate: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None) -> float:
        return image_quality.rmse(candidate, reference, mask)


class NMSE(ImageMetric):
    """`image_quality.nmse`."""

    def measure(self, candidate: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None) -> float:
        return image_quality.nmse(candidate, reference, mask)


class Bias(ImageMetric):
    """`image_quality.bias`, in the images' units."""

    def measure(self, candidate: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None) -> float:
        return image_quality.bias(candidate, reference, mask)


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

    def measure(self, candidate: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None) -> float:
        return gradient_kept(candidate, reference, self.spacing, mask)


class EdgesKept(ImageMetric):
    """`edges.edges_kept`."""

    def measure(self, candidate: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None) -> float:
        return edges_kept(candidate, reference, mask)


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

    def measure(self, candidate: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None) -> float:
        return noise_level(candidate, self.slice_axis, mask)


class Sharpness(MetricOfPrediction):
    """`without_reference.sharpness` in the slices."""

    masked = False

    def measure(self, candidate: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None) -> float:
        return sharpness(candidate, self.slice_axis)[0]


class SliceConsistency(MetricOfPrediction):
    """The mean correlation of neighbouring slices of `without_reference.slice_consistency`."""

    def measure(self, candidate: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None) -> float:
        return slice_consistency(candidate, self.slice_axis, mask)[0]


class PerLabel(RegressionMetric):
    """A metric inside each label of a label map: one value an image and label, NaN where the image lacks the label.

    The label map is a second channel of the label, as `ConcatItemsd` of both makes it; the prediction has one channel. A mask
    is a map of one label. The reduction "mean_batch" gives one mean a label.

    Raises:
        ValueError: no labels, or a metric of whole images only.
    """

    def __init__(
        self,
        metric: ImageMetric,
        labels: Sequence[int] = (1,),
        reduction: MetricReduction | str = MetricReduction.MEAN_BATCH,
        get_not_nans: bool = False,
    ) -> None:
        super().__init__(reduction=reduction, get_not_nans=get_not_nans)
        if not metric.masked:
            raise ValueError(f"{type(metric).__name__} is of whole images: it has no value inside a label")
        if not labels:
            raise ValueError("no labels to measure in: name at least one, as labels=(1,)")
        self.metric, self.labels = metric, labels

    def _check_shape(self, y_pred: torch.Tensor, y: torch.Tensor) -> None:
        if y_pred.shape[1] != 1 or y.shape != (len(y_pred), 2, *y_pred.shape[2:]):
            raise ValueError(
                f"the prediction must be (B, 1, ...), and the label (B, 2, ...): reference and label map, not "
                f"{tuple(y_pred.shape)} and {tuple(y.shape)}; join both by ConcatItemsd"
            )

    def _compute_metric(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        values = [
            [self.metric.value(pred, reference, where == label) for label in self.labels]
            for (pred,), (reference, where) in zip(_arrays(y_pred), _arrays(y))
        ]
        return torch.tensor(values, dtype=torch.float64, device=y_pred.device)


def _arrays(batch: torch.Tensor) -> np.ndarray:
    return batch.detach().cpu().to(torch.promote_types(batch.dtype, torch.float32)).numpy()
