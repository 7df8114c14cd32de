from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.metrics import PSNRMetric, SSIMMetric

from medgen.evaluation import image_quality, structure
from medgen.evaluation.edges import edges_kept, gradient_kept
from medgen.evaluation.monai_metrics import (
    MAE,
    MSSSIM,
    NMSE,
    PSNR,
    RMSE,
    SSIM,
    Bias,
    EdgesKept,
    GradientKept,
    ImageMetric,
    NoiseLevel,
    PerLabel,
    Sharpness,
    SliceConsistency,
)
from medgen.evaluation.without_reference import noise_level, sharpness, slice_consistency


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    label = torch.rand(2, 2, 24, 23, 22, generator=generator)
    return label + 0.1 * torch.randn(label.shape, generator=generator), label


@pytest.mark.parametrize(
    ("metric", "function"),
    [
        (PSNR(2.0), lambda a, b: image_quality.psnr(a, b, 2.0)),
        (SSIM(2.0), lambda a, b: image_quality.ssim(a, b, 2.0)),
        (MSSSIM(2.0, scales=2), lambda a, b: structure.ms_ssim(a, b, 2.0, 2)),
        (MAE(), image_quality.mae),
        (RMSE(), image_quality.rmse),
        (NMSE(), image_quality.nmse),
        (Bias(), image_quality.bias),
        (GradientKept((1, 1, 2)), lambda a, b: gradient_kept(a, b, (1, 1, 2))),
        (EdgesKept(), edges_kept),
        (NoiseLevel(1), lambda a, b: noise_level(a, 1)),
        (Sharpness(1), lambda a, b: sharpness(a, 1)[0]),
        (SliceConsistency(1), lambda a, b: slice_consistency(a, 1)[0]),
    ],
)
def test_each_is_its_function_for_every_image_and_channel(metric: ImageMetric, function: Any) -> None:
    pred, label = batch()
    expected = [[function(p.numpy(), y.numpy()) for p, y in zip(*pair)] for pair in zip(pred, label)]
    np.testing.assert_allclose(metric(pred, label), expected)
    metric(list(pred), list(label))  # decollated, as an evaluator hands them on
    assert metric.get_buffer().shape == (4, 2)
    assert float(metric.aggregate()) == pytest.approx(np.mean(expected), rel=1e-6, abs=1e-8)
    metric.reset()


def test_the_values_are_monais() -> None:
    pred, label = batch()
    pred, label = pred[:, :1], label[:, :1]
    np.testing.assert_allclose(PSNR(1.0)(pred, label), PSNRMetric(1.0)(pred, label), rtol=1e-5)
    np.testing.assert_allclose(SSIM(1.0)(pred, label), SSIMMetric(3, data_range=1.0)(pred, label), atol=1e-5)


def test_what_is_not_defined_is_left_out_of_the_mean() -> None:
    pred, label = batch()
    label[0, 0] = 0.5
    metric = EdgesKept(get_not_nans=True)
    values = metric(pred, label)
    assert torch.isnan(values[0, 0]) and torch.isfinite(values).sum() == 3
    mean, count = metric.aggregate("mean_batch")
    assert torch.isfinite(mean).all() and count.tolist() == [1, 2]


def test_wrong_use_is_an_error_and_not_a_nan() -> None:
    pred, label = batch()
    with pytest.raises(ValueError, match="data range"):
        SSIM(0)
    with pytest.raises(TypeError):
        PSNR()  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="shapes"):
        MAE()(pred, label[..., 1:])
    pred[0, 0, 0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="NaN"):
        MAE()(pred, label)


@pytest.mark.parametrize(
    ("metric", "function"),
    [
        (PSNR(2.0), lambda a, b, m: image_quality.psnr(a, b, 2.0, m)),
        (SSIM(2.0), lambda a, b, m: image_quality.ssim(a, b, 2.0, m)),
        (MAE(), image_quality.mae),
        (RMSE(), image_quality.rmse),
        (NMSE(), image_quality.nmse),
        (Bias(), image_quality.bias),
        (GradientKept((1, 1, 2)), lambda a, b, m: gradient_kept(a, b, (1, 1, 2), m)),
        (EdgesKept(), edges_kept),
        (NoiseLevel(1), lambda a, b, m: noise_level(a, 1, m)),
        (SliceConsistency(1), lambda a, b, m: slice_consistency(a, 1, m)[0]),
    ],
)
def test_each_is_its_function_inside_each_label(metric: ImageMetric, function: Any) -> None:
    pred, label = (images[:, :1] for images in batch())
    labels = torch.zeros(label.shape)
    labels[0, 0, 3:, :11], labels[0, 0, 3:, 11:], labels[1, 0, 1:, 1:, :15] = 1, 4, 4
    both = torch.cat([label, labels], 1)
    per_label = PerLabel(metric, labels=(4, 1))
    values = per_label(list(pred), list(both))
    for image, column, number in ((0, 0, 4), (0, 1, 1), (1, 0, 4)):
        where = labels[image, 0].numpy() == number
        assert float(values[image, column]) == pytest.approx(function(pred[image, 0].numpy(), label[image, 0].numpy(), where))
    assert torch.isnan(values[1, 1])  # the second image has no label 1
    np.testing.assert_allclose(per_label.aggregate(), [float(values[:, 0].mean()), float(values[0, 1])])


def test_what_has_no_label_map_or_no_value_in_one_is_refused() -> None:
    pred, label = batch()
    for whole in (MSSSIM(1.0), Sharpness()):
        with pytest.raises(ValueError, match="whole images"):
            PerLabel(whole)
    with pytest.raises(ValueError, match="no labels"):
        PerLabel(MAE(), labels=())
    for wrong in ((pred[:, :1], label[:, :1]), (pred, label), (pred[:, :1], label[..., 1:])):
        with pytest.raises(ValueError, match="ConcatItemsd"):
            PerLabel(MAE())(*wrong)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision_is_taken(dtype: torch.dtype) -> None:
    pred, label = batch()
    low = [image.to(dtype) for image in (pred, label)]
    np.testing.assert_allclose(SSIM(1.0)(*low), SSIM(1.0)(*[image.float() for image in low]))


def test_an_evaluator_of_a_config_names_them(tmp_path: Path) -> None:
    """As in a bundle's evaluate.json: MONAI's handler over each, and their values saved case by case."""
    pred, label = batch()
    config = {
        "key_metric": {
            "ssim": {
                "_target_": "IgniteMetricHandler",
                "metric_fn": {"_target_": "medgen.evaluation.monai_metrics.SSIM", "data_range": 1.0},
                "output_transform": "$monai.handlers.from_engine(['image', 'label'])",
            }
        },
        "additional_metrics": {
            "edges_kept": {
                "_target_": "IgniteMetricHandler",
                "metric_fn": {"_target_": "medgen.evaluation.monai_metrics.EdgesKept"},
                "output_transform": "$monai.handlers.from_engine(['image', 'label'])",
            }
        },
        "handlers": [{"_target_": "MetricsSaver", "save_dir": str(tmp_path), "metrics": "*", "metric_details": "*", "delimiter": ","}],
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "cpu",
            "val_data_loader": [{"image": pred, "label": label}],
            "network": {"_target_": "torch.nn.Identity"},
            "key_val_metric": "@key_metric",
            "additional_metrics": "@additional_metrics",
            "val_handlers": "@handlers",
        },
    }
    parser = ConfigParser({"imports": ["$import monai"], **config})
    evaluator = parser.get_parsed_content("evaluator")
    evaluator.run()
    for name, metric in (("ssim", SSIM(1.0)), ("edges_kept", EdgesKept())):
        values = metric(pred, label)
        assert evaluator.state.metrics[name] == pytest.approx(float(values.mean()))
        saved = (tmp_path / f"{name}_raw.csv").read_text().splitlines()
        assert len(saved) == 3 and float(saved[1].split(",")[1]) == pytest.approx(float(values[0, 0]), abs=1e-4)
