from __future__ import annotations

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.bundle import ConfigParser
from monai.handlers import IgniteMetricHandler

from medgen.evaluation import distribution, diversity
from medgen.evaluation import monai_distribution as metrics
from medgen.evaluation.features import Extractor

RNG = np.random.default_rng(0)
REAL, MADE = RNG.standard_normal((24, 5)), 0.5 + RNG.standard_normal((24, 5))

EXPECTED = {
    "FrechetDistance": distribution.frechet_distance(REAL, MADE),
    "ExtrapolatedFrechet": distribution.extrapolated_frechet(REAL, MADE),
    "KernelDistance": distribution.kernel_distance(REAL, MADE),
    "Precision": distribution.precision_recall(REAL, MADE)[0],
    "Recall": distribution.precision_recall(REAL, MADE)[1],
    "Density": distribution.density_coverage(REAL, MADE)[0],
    "Coverage": distribution.density_coverage(REAL, MADE)[1],
    "VendiScore": diversity.vendi_score(MADE),
    "Uniformity": diversity.uniformity(MADE),
    "Richness": diversity.richness(MADE),
    "NearestReal": float(np.median(diversity.nearest(MADE, REAL)[0])),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_features_in_batches_give_the_value_of_all(name: str) -> None:
    metric = getattr(metrics, name)()
    for _ in range(2):  # a reset forgets
        for rows in (slice(0, 10), slice(10, 24)):
            metric(torch.from_numpy(MADE[rows]), torch.from_numpy(REAL[rows]))
        assert float(metric.aggregate()) == pytest.approx(EXPECTED[name])
        metric.reset()


def test_images_through_an_extractor_in_a_config_and_an_engine() -> None:
    parser = ConfigParser({
        "handler": {
            "_target_": "IgniteMetricHandler",
            "metric_fn": {
                "_target_": "medgen.evaluation.monai_distribution.FrechetDistance",
                "extractor": {"_target_": "medgen.evaluation.features.Extractor"},
                "kind": "planes",
            },
        }
    })  # fmt: skip
    handler = parser.get_parsed_content("handler")
    assert isinstance(handler, IgniteMetricHandler)
    random = torch.Generator().manual_seed(0)
    batches = [(torch.rand(2, 1, 48, 48, generator=random), 0.5 * torch.rand(2, 1, 48, 48, generator=random)) for _ in range(3)]
    engine = Engine(lambda _, batch: batch)
    handler.attach(engine, "frechet")
    engine.run(batches)
    extractor = Extractor()
    made, real = (extractor.of(torch.cat(side)[:, 0], "planes") for side in zip(*batches))
    assert engine.state.metrics["frechet"] == pytest.approx(distribution.frechet_distance(real, made), rel=1e-5)


def test_the_class_score_is_the_extractors() -> None:
    extractor = Extractor()
    metric = metrics.ClassScore(extractor, "planes")
    images = torch.rand(4, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    metric(images, images)
    expected = distribution.class_score(extractor.probabilities(extractor.of(images[:, 0], "planes"), "axial"))
    assert float(metric.aggregate()) == pytest.approx(expected, rel=1e-6)
    bare = metrics.ClassScore()
    bare(torch.rand(4, 3), torch.rand(4, 3))
    with pytest.raises(ValueError, match="wants an extractor"):
        bare.aggregate()
    with pytest.raises(ValueError, match="not of slices"):
        metrics.FrechetDistance(extractor, "slices")


def test_pairwise_ms_ssim() -> None:
    metric = metrics.PairwiseMSSSIM(data_range=1.0)
    images = torch.rand(3, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    metric(images, None)
    assert float(metric.aggregate()) == pytest.approx(diversity.pairwise_ms_ssim([i.numpy() for i in images[:, 0]]))


def test_nothing_given_is_an_error() -> None:
    with pytest.raises(ValueError, match="no images were given"):
        metrics.FrechetDistance().aggregate()
    with pytest.raises(ValueError, match="both"):
        metrics.FrechetDistance()(torch.rand(2, 3))
