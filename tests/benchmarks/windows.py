"""The window engine against MONAI's sliding window, all in one run:

    python -m tests.benchmarks.windows [--shape 184 224 184] [--bundle mr_denoise_vae | --unet] [--device cuda]
    python -m tests.benchmarks.windows --shape 512 512 600 --unet --only engine    # peak memory of a large CT
    python -m tests.benchmarks.windows --busy --only engine "one pass, bf16"       # with another process that computes

Seconds are medians of --repeat runs after one to warm up (the engine's own measurements of the network included in that
first run and printed apart); memory is the peak beside input and output; distance is PSNR to one pass in float32.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from monai.inferers import SlidingWindowInferer
from monai.networks.nets import UNet
from torch import Tensor, nn
from torch.nn import functional as F

from medgen.bundles import open_bundle
from medgen.inference.inferers import AutocastInferer, HaloInferer

Method = Callable[[Tensor], Tensor]


def unet() -> nn.Module:
    """A small residual U-Net of 1.2 M parameters without norms, as design measurements use it."""
    torch.manual_seed(0)
    return UNet(3, 1, 1, channels=(16, 32, 64), strides=(2, 2), num_res_units=2, norm=None, act="relu").eval()


def phantom(shape: tuple[int, ...]) -> Tensor:
    """Return blocks of random grey with noise in a ball in air, (1, 1, X, Y, Z)."""
    generator = torch.Generator().manual_seed(0)
    image = F.interpolate(torch.rand(1, 1, *(-(-n // 16) for n in shape), generator=generator), scale_factor=16)
    image = image[..., : shape[0], : shape[1], : shape[2]]
    image = image + 0.05 * torch.randn(shape, generator=generator)
    x, y, z = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in shape), indexing="ij")
    return image.clamp_(0, 1) * (x * x + y * y + z * z < 0.95)


def methods(network: nn.Module, device: torch.device, memory: float | None) -> dict[str, Method]:
    """Return what is compared, by name."""
    last = network.to(device).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def fast(image: Tensor) -> Tensor:
        return AutocastInferer()(image.to(device), last).float().cpu()

    def exact(image: Tensor) -> Tensor:
        return last(image.to(device)).cpu()

    sliding = SlidingWindowInferer((96, 96, 96), overlap=0.5)
    engine = HaloInferer(memory=memory)
    return {
        "one pass, float32": exact,
        "one pass, bf16": fast,
        "MONAI 96, overlap 0.5": lambda image: sliding(image.to(device), network).cpu(),
        "MONAI 96, overlap 0.5, bf16": lambda image: sliding(image.to(device), partial(AutocastInferer(), network=last)).float().cpu(),
        "engine": lambda image: engine(image, last),
    }


def peak() -> float:
    """Return the peak of this process's resident memory in GiB since it was last reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 2**20 for line in lines if line.startswith("VmHWM"))


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def spin(stop: multiprocessing.Event) -> None:  # type: ignore[valid-type]
    while not stop.is_set():
        sum(range(10000))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=[184, 224, 184])
    parser.add_argument("--bundle", default="mr_denoise_vae")
    parser.add_argument("--unet", action="store_true", help="a small U-Net in place of the bundle's network")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--memory", type=float, help="GiB for the engine")
    parser.add_argument("--only", nargs="+", help="these methods only")
    parser.add_argument("--busy", action="store_true", help="beside a process that keeps one core busy")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    logging.getLogger("medgen.inference").setLevel(logging.INFO)
    device = torch.device(options.device)
    network = unet() if options.unet else open_bundle(options.bundle, options.device).network
    image = phantom(tuple(options.shape))
    held = 8 * image.numel() / 2**30
    stop = multiprocessing.Event()
    other = multiprocessing.Process(target=spin, args=(stop,), daemon=True)
    if options.busy:
        other.start()
    rows: dict[str, tuple[float, float, Tensor]] = {}
    with torch.inference_mode():
        for name, method in methods(network, device, options.memory).items():
            if options.only and name not in options.only:
                continue
            started = time.perf_counter()
            method(image)
            first, times = time.perf_counter() - started, []
            reset_peak()
            before = peak()
            for _ in range(options.repeat):
                started = time.perf_counter()
                out = method(image)
                times.append(time.perf_counter() - started)
            rows[name] = (statistics.median(times), peak() - before - held / 2, out)
            print(f"{name}: {rows[name][0]:.2f} s (first {first:.2f} s)", flush=True)
    stop.set()
    truth = rows.get("one pass, float32")
    engine = rows.get("engine")
    print(f"\n{'x'.join(map(str, options.shape))}, {'U-Net' if options.unet else options.bundle}, {device}, "
          f"{torch.get_num_threads()} threads; input and output {held:.2f} GiB\n")  # fmt: skip
    print("| method | seconds | over the engine | GiB beside input and output | dB from one pass in float32 |\n|---|---|---|---|---|")
    for name, (seconds, memory, out) in rows.items():
        ratio = f"{seconds / engine[0]:.2f}" if engine else ""
        distance = "" if truth is None else f"{psnr(out, truth[2]):.1f}"
        print(f"| {name} | {seconds:.2f} | {ratio} | {memory:.2f} | {distance} |")
    if engine:
        print(f"\npeak of the engine: {(engine[1] + held) / held:.2f} times input and output")


def psnr(image: Tensor, truth: Tensor) -> float:
    error = float((image - truth).square().mean())
    return float("inf") if error == 0 else float(10 * torch.log10((truth.max() - truth.min()) ** 2 / error))


if __name__ == "__main__":
    main()
