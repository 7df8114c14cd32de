"""The SPADE-VAE that one would take from MONAI to paint label maps, trained on the same T1 heads, for tests.benchmarks.synthesis:

    python -m tests.benchmarks.spade_vae --data PAIRS -o spade_vae.pt [--steps 2000]

PAIRS is what tests.benchmarks.brain_pairs wrote. `monai.networks.nets.SPADENet` sees the classes, crops of 64^3, and an encoder's
style of 32 numbers; the loss is the bundle's own without a discriminator (10 L1 + 0.5 (1 - SSIM)) and 0.05 KL a number of style.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import torch
from monai.bundle import ConfigParser
from monai.inferers import SlidingWindowInferer
from monai.networks.nets import SPADENet
from numpy.random import RandomState
from torch import Tensor

from medgen.anatomy.classes import NAMES
from medgen.bundles import find
from medgen.transforms.style import CHANNELS, LEVEL, TOLD_AS, told

SIDE, STYLE = 64, 32
CLASSES = len(NAMES) - len(TOLD_AS)


def network() -> SPADENet:
    """Return it, untrained."""
    return SPADENet(3, 1, 1, CLASSES, (SIDE,) * 3, [16, 32, 64, 128], z_dim=STYLE, spade_intermediate_channels=32)


def paint(vae: SPADENet, classes: np.ndarray, seed: int | None) -> np.ndarray:
    """Return an image of classes, white matter at 500: in a style drawn by a seed, or without one in the mean style."""
    channels = told(classes, np.zeros(classes.shape), "T1", (2, 2, 2), RandomState(0))
    maps = torch.from_numpy(channels[CHANNELS - CLASSES :])[None]
    style = torch.zeros(1, STYLE) if seed is None else torch.randn(1, STYLE, generator=torch.Generator().manual_seed(seed))
    windows = SlidingWindowInferer((SIDE,) * 3, overlap=0.5, mode="gaussian")
    with torch.inference_mode():
        image = windows(maps, partial(vae.decode, z=style))
    return (image[0, 0] * (500 / LEVEL)).clip(0).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    torch.manual_seed(0)
    folder = Path(find("brain_mri_synthesis_spade")) / "configs"
    config = ConfigParser()
    config.read_config([str(folder / "train.json"), str(folder / "metadata.json")])
    config.read_meta(str(folder / "metadata.json"))
    config.update({"dataset_dir": str(options.data), "contrasts": ["T1"]})
    batches, loss = config.get_parsed_content("train#dataloader"), config.get_parsed_content("train#loss")
    vae = network()
    optimizer = torch.optim.AdamW(vae.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, options.steps, pct_start=0.04)
    step, seen = 0, 0.0
    while step < options.steps:
        for batch in batches:
            maps, scan = batch["image"][:, CHANNELS - CLASSES :].as_subclass(Tensor), batch["label"].as_subclass(Tensor)
            with torch.autocast("cpu", torch.bfloat16):
                made, mean, log_variance = vae(maps, scan)
            divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).float().mean()
            total = loss(made.float(), scan) + 0.05 * divergence
            optimizer.zero_grad(set_to_none=True)
            total.backward()
            torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            seen = 0.98 * seen + 0.02 * float(total.detach())
            step += 1
            if step % 50 == 0:
                print(f"step {step}: loss {seen / (1 - 0.98**step):.4f}, KL {float(divergence.detach()):.3f}", flush=True)
            if step == options.steps:
                break
    torch.save(vae.state_dict(), options.output)


if __name__ == "__main__":
    main()
