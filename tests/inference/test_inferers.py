from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from torch import nn

from medgen.inference import inferers
from medgen.inference.inferers import HaloInferer, _pad, bf16_is_fast


class Blur(nn.Module):
    """Sees 1 voxel to each side at half resolution, so up to 3 at full resolution; total stride 2."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.down = nn.Conv3d(1, 2, 2, stride=2)
        self.mix = nn.Conv3d(2, 2, 3, padding=1)
        self.up = nn.ConvTranspose3d(2, 1, 2, stride=2)
        for parameter in self.parameters():
            nn.init.normal_(parameter, generator=generator)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert all(side % 2 == 0 for side in x.shape[2:])
        return self.up(torch.relu(self.mix(self.down(x))))


def tiny(inferer: HaloInferer, monkeypatch: pytest.MonkeyPatch, voxels: int) -> HaloInferer:
    """Let the inferer have memory for so many voxels only."""
    monkeypatch.setattr("medgen.inference.inferers.allowance", lambda device, held, cap: voxels * bytes_of(inferer))
    return inferer


def bytes_of(inferer: HaloInferer) -> float:
    assert inferer._known is not None
    return inferer._known[1].bytes_a_voxel


@pytest.mark.parametrize("flips", [1, 4])
@pytest.mark.parametrize("shape", [(40, 36, 44), (13, 62, 9), (1, 5, 60), (63, 1, 1)])
def test_tiles_equal_one_pass(shape: tuple[int, ...], flips: int, monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(1))
    inferer, network = HaloInferer(flips=flips, bf16=False), Blur()
    one = inferer(image, network)
    assert one.shape == image.shape
    whole = image.numel()
    tiles = tiny(inferer, monkeypatch, max(whole // 4, 600))(image, network)
    torch.testing.assert_close(tiles, one, atol=1e-5, rtol=1e-5)
    assert inferer._plan(inferer._known[1], (1, 1, *(n + n % 2 for n in shape))).largest < whole or whole < 600


def test_several_channels_and_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv3d(3, 2, 3, padding=1)

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"two": self.conv(x), "one": x[:, :1] ** 2}

    image, network, inferer = torch.rand(2, 3, 24, 20, 22), Two(), HaloInferer(bf16=False)
    one = inferer(image, network)
    assert one["two"].shape == (2, 2, 24, 20, 22) and one["one"].shape == (2, 1, 24, 20, 22)
    tiles = tiny(inferer, monkeypatch, 4000)(image, network)
    for key in one:
        torch.testing.assert_close(tiles[key], one[key], atol=1e-5, rtol=1e-5)


def test_air_is_computed_once_for_each_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counting(Blur):
        calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return super().forward(x)

    network, inferer = Counting(), HaloInferer(bf16=False)
    image = torch.full((1, 1, 64, 64, 64), -1.0)
    image[..., 30:34, 30:34, 30:34] = torch.rand(4, 4, 4)
    one = inferer(image, network)
    tiny(inferer, monkeypatch, 24**3)(image, network)  # finds the halo
    network.calls = 0
    tiles = inferer(image, network)
    count = len(inferer._plan(inferer._known[1], image.shape).tiles)
    assert count >= 27 and network.calls < count
    torch.testing.assert_close(tiles, one, atol=1e-6, rtol=1e-6)


def test_a_network_that_sees_its_whole_window_is_blended_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    class Normed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Conv3d(1, 4, 3, padding=1), nn.Conv3d(4, 1, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(nn.functional.instance_norm(self.first(x)).square())

    image = torch.rand(1, 1, 30, 26, 28)
    with caplog.at_level(logging.WARNING, "medgen.inference"):
        out = HaloInferer(roi_size=(16, 16, 16), bf16=False)(image, Normed())
    assert out.shape == image.shape and torch.isfinite(out).all()
    assert "overlapping windows" in caplog.text


def test_out_of_memory_halves_the_tiles_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    class Greedy(Blur):
        """A network that runs out of memory above a size, as a GPU does."""

        limit = 10**9

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.numel() > self.limit:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
            return super().forward(x)

    network, inferer = Greedy(), HaloInferer(bf16=False)
    image = torch.rand(1, 1, 48, 48, 48)
    one = inferer(image, network)
    inferer._known[1].halo  # noqa: B018  found while there is memory
    network.limit = 48**3 // 3
    with caplog.at_level(logging.WARNING, "medgen.inference"):
        torch.testing.assert_close(inferer(image, network), one, atol=1e-5, rtol=1e-5)
    assert caplog.text.count("going on with half") == 2
    network.limit = 0
    with pytest.raises(MemoryError, match="a tile of .* voxels is needed"):
        inferer(image, network)


def test_another_error_is_not_taken_for_memory() -> None:
    inferer, network = HaloInferer(bf16=False), Blur()
    inferer(torch.rand(1, 1, 8, 8, 8), network)
    network.mix = None
    with pytest.raises(TypeError):
        inferer(torch.rand(1, 1, 8, 8, 8), network)


@pytest.mark.parametrize("flips", [2, 4, 8])
def test_mirrored_copies_are_turned_back_and_averaged(flips: int) -> None:
    """Of a shift by one voxel along each axis, what is left are the shifts to the sides that were mirrored."""
    image = torch.rand(1, 1, 8, 8, 8)
    out = HaloInferer(flips=flips, bf16=False)(image, lambda x: x.roll((1, 1, 1), (2, 3, 4)))
    signs = {2: [(1, 1, 1), (-1, -1, -1)], 4: [(1, 1, 1), (-1, -1, 1), (-1, 1, -1), (1, -1, -1)]}
    signs[8] = [(a, b, c) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)]
    expected = sum(image.roll(sign, (2, 3, 4)) for sign in signs[flips]) / flips
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize("shape", [(13, 22, 9), (9, 3, 2), (17, 1, 8)])
def test_sides_are_padded_by_reflection(shape: tuple[int, ...]) -> None:
    """Copies of the last plane have no noise in them: a denoiser would leave them, and their neighbours, as they are."""
    padded = _pad(torch.arange(np.prod(shape)).float().reshape(1, 1, *shape), (8, 8, 4))
    pads = [(0, -n % step) for n, step in zip(shape, (8, 8, 4))]
    expected = np.pad(np.arange(np.prod(shape)).reshape(shape), pads, mode="reflect")
    np.testing.assert_array_equal(padded[0, 0].numpy(), expected)


def test_bfloat16_stays_near_float32() -> None:
    image = torch.rand(1, 1, 16, 16, 16)
    exact = HaloInferer(bf16=False)(image, Blur())
    fast = HaloInferer(bf16=True)(image, Blur())
    assert fast.dtype == torch.float32
    assert (fast - exact).abs().max() < 0.03 * exact.abs().max()


def test_the_cost_is_told_without_running(monkeypatch: pytest.MonkeyPatch) -> None:
    inferer, network = HaloInferer(flips=2, bf16=False), Blur()
    voxels, memory = inferer.cost((31, 32, 30), network)
    assert voxels == 2 * 32 * 32 * 30
    assert memory == pytest.approx(32 * 32 * 30 * (8 + bytes_of(inferer)))
    tiny(inferer, monkeypatch, 8000)
    more, less = inferer.cost((31, 32, 30), network)
    assert more > voxels and less < memory


def test_memory_is_capped() -> None:
    inferer, network = HaloInferer(memory=0.004, bf16=False), Blur()
    _, memory = inferer.cost((64, 64, 64), network)
    assert memory < 0.004 * 2**30 < inferer.cost((64, 64, 64), network)[1] + 64**3 * bytes_of(inferer)
    with pytest.raises(MemoryError):
        HaloInferer(memory=1e-6)(torch.rand(1, 1, 16, 16, 16), network)


def test_flips_are_1_2_4_or_8() -> None:
    with pytest.raises(ValueError, match="one of 1, 2, 4, 8, not 3"):
        HaloInferer(flips=3)


def test_bf16_is_fast_answers_for_a_device_it_does_not_know() -> None:
    assert bf16_is_fast(torch.device("meta")) is False


def test_bf16_is_fast_only_where_it_proves_so(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = torch.get_num_threads()
    cpu = torch.device("cpu")
    assert inferers._speedup_of_bf16() > 0.05 and torch.get_num_threads() == threads
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    for speedup, fast in ((4.0, True), (1.7, True), (0.6, False)):
        monkeypatch.setattr(inferers, "_speedup_of_bf16", lambda speedup=speedup: speedup)
        assert bf16_is_fast(cpu) is fast
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert bf16_is_fast(cpu) is False
