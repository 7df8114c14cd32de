"""The failure case of a benchmark: the one where a bundle gains least over what a user would pick instead, as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medgen.batch.picture import three_planes


class Worst:
    """Keeps the images of the case with the least gain that was offered."""

    def __init__(self) -> None:
        self.gain, self.name = float("inf"), ""

    def offer(self, gain: float, name: str, images: dict[str, np.ndarray], affine: np.ndarray, window: tuple[float, float]) -> None:
        """Offer a case: `images` on one grid by title, "truth" and "medgen" among them; `window` is shown black to white."""
        if gain < self.gain:
            self.gain, self.name = gain, name
            self.images = {title: np.array(image, dtype=np.float32) for title, image in images.items()}
            self.affine, self.window = affine, window

    def write(self, path: Path | None) -> None:
        """Draw it in three planes, with the error of the bundle at four times the contrast, and say which case it is."""
        if path is None or not self.name:
            return
        span = (self.window[1] - self.window[0]) / 8
        images = {**self.images, "error x4": self.images["medgen"] - self.images["truth"]}
        windows = {title: self.window for title in images} | {"error x4": (-span, span)}
        three_planes(path, images, self.affine, windows)
        print(f"failure case: {self.name}, {self.gain:+.2f} dB: {path}")
