"""Draw the training loss from the logs of MONAI's StatsHandler, one panel a stage:

python -m tests.benchmarks.loss_curve trunk=run/trunk.log ladder=run/ladder.log -o loss.png
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from matplotlib.figure import Figure

LINE = re.compile(r"Epoch\[(\d+)\] Metrics -- .*?loss: (\S+)")


def losses(*logs: Path) -> dict[int, float]:
    """Return the running average of the loss by epoch; of epochs that were run twice (after a resume), the last."""
    return {int(epoch): float(loss) for log in logs for epoch, loss in LINE.findall(log.read_text())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="+", help="NAME=LOG[,LOG...]")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    figure = Figure(figsize=(5 * len(options.stages), 3), layout="constrained")
    for axis, stage in zip(figure.subplots(1, len(options.stages), squeeze=False)[0], options.stages):
        name, _, logs = stage.partition("=")
        curve = losses(*map(Path, logs.split(",")))
        axis.plot(list(curve), list(curve.values()), linewidth=1)
        low = min(curve.values())
        high = sorted(curve.values())[int(0.98 * len(curve))]
        axis.set(title=name, xlabel="epoch", ylabel="training loss (running average)", ylim=(low - 0.05 * abs(low), high))
        axis.grid(alpha=0.3)
    figure.savefig(options.output, dpi=110)


if __name__ == "__main__":
    main()
