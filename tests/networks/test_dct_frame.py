from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.fft import dct

from medgen.networks.dct_frame import DCTFrame


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(8, 8, 8), (2, 4, 6), (14, 10, 2)])
def test_reconstruction_is_perfect_to_the_borders(channels: int, shape: tuple[int, int, int]) -> None:
    frame = DCTFrame(channels)
    y = torch.randn(2, channels, *shape, generator=torch.Generator().manual_seed(0))
    coefficients = frame.analysis(y)
    assert coefficients.shape == (2, 64 * channels, *(n // 2 for n in shape))
    torch.testing.assert_close(frame.synthesis(coefficients), y, atol=2e-6, rtol=1e-5)


def test_the_basis_is_orthonormal() -> None:
    basis = DCTFrame(1).basis.reshape(64, 64)
    torch.testing.assert_close(basis @ basis.T, torch.eye(64), atol=1e-6, rtol=0)


def test_the_basis_is_scipys_dct_with_the_mean_first() -> None:
    block = np.random.RandomState(0).rand(4, 4, 4)
    expected = block
    for axis in range(3):
        expected = dct(expected, axis=axis, norm="ortho")
    y = torch.zeros(1, 1, 8, 8, 8)
    y[0, 0, 1:5, 1:5, 1:5] = torch.from_numpy(block)  # after the padding of one voxel, the block at (1, 1, 1)
    coefficients = DCTFrame(1).analysis(y)[0, :, 1, 1, 1]
    np.testing.assert_allclose(coefficients.numpy(), expected.ravel(), atol=1e-5)
    assert float(coefficients[0]) == pytest.approx(block.mean() * 8, rel=1e-5)


def test_white_noise_stays_white_with_its_sigma() -> None:
    noise = torch.randn(1, 1, 40, 40, 40, generator=torch.Generator().manual_seed(1))
    inner = DCTFrame(1).analysis(noise)[..., 1:-1, 1:-1, 1:-1].flatten(2)[0]
    torch.testing.assert_close(inner.std(1), torch.ones(64), atol=0.06, rtol=0)


def test_channels_do_not_mix() -> None:
    y = torch.zeros(1, 2, 8, 8, 8)
    y[:, 1] = 1
    coefficients = DCTFrame(2).analysis(y)
    assert not coefficients[:, :64].any() and coefficients[:, 64:].any()


def test_autocast_does_not_round_the_coefficients() -> None:
    frame, y = DCTFrame(1), torch.rand(1, 1, 8, 8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = frame.synthesis(frame.analysis(y))
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, y, atol=2e-6, rtol=1e-5)


def test_the_basis_is_no_weight() -> None:
    assert not list(DCTFrame(1).parameters()) and not DCTFrame(1).state_dict()
