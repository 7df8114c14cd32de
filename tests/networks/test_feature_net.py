from __future__ import annotations

import pytest
import torch

from medgen.networks.feature_net import FeatureNet


@pytest.mark.parametrize(("dimensions", "side"), [(2, 64), (3, 48)])
def test_shapes_and_gradients(dimensions: int, side: int) -> None:
    net = FeatureNet(dimensions, (4, 6, 8, 10), 5, 3)
    x = torch.rand(2, 1, *(side,) * dimensions)
    features = net(x)
    assert features.shape == (2, 5) and net.classify(features).shape == (2, 3)
    assert [tuple(stage.shape[1:3]) for stage in net.stages(x)] == [(width, side // 2 ** (n + 1)) for n, width in enumerate((4, 6, 8, 10))]
    net.classify(features).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


def test_each_image_of_a_batch_is_on_its_own() -> None:
    net = FeatureNet(2, (4, 6, 8, 10), 5, 3).eval()
    x = torch.rand(3, 1, 48, 48)
    torch.testing.assert_close(net(x)[1:2], net(x[1:2]))
