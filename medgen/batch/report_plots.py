"""The plots of a report, as SVG that takes the page's colour and font and can be read in grey: shapes tell, not hues."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#010203"  #: stands for the page's text colour
FAINT = 0.35  #: opacity of what stands behind
#: The measures that are plotted, the most telling first, and their axes.
MEASURES = {
    "psnr": "PSNR (dB)", "ssim": "SSIM", "gradient_kept": "gradient kept (1: all)", "mae": "MAE (image units)",
    "noise": "noise (image units)", "snr": "mean / noise", "slice_correlation": "correlation of slices",
    "sharpness_in_slices": "sharpness in slices",
}  # fmt: skip


def available() -> bool:
    """Return whether matplotlib is installed."""
    from importlib.util import find_spec

    return find_spec("matplotlib") is not None


def before_and_after(measure: str, values: Sequence[tuple[float | None, float]], means: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a measure of each case before and after, joined by a line, and the means with their intervals.

    Args:
        values: (before, after) of each case; before is None where there is no input.
        means: "before", where there are any, and "after", as of `summarise`.
    """
    figure, axes = _figure(measure, 2.7, 2.9)
    paired = [(b, a) for b, a in values if b is not None]
    for b, a in paired:
        axes.plot([0, 1], [b, a], color=INK, alpha=FAINT, linewidth=0.9, zorder=1)
    axes.scatter([0] * len(paired), [b for b, _ in paired], s=22, facecolors="none", edgecolors=INK, linewidths=1.1, zorder=2)
    axes.scatter([1] * len(values), [a for _, a in values], s=22, color=INK, linewidths=0, zorder=2)
    for place, which in ((-0.25, "before"), (1.25, "after")):
        if which in means:
            _mean(axes, place, means[which])
    axes.set_xlim(-0.6, 1.6)
    axes.set_xticks([0, 1] if paired else [1], ["before", "after"] if paired else ["result"])
    axes.set_title(MEASURES.get(measure, measure.replace("_", " ")), fontsize=10, loc="left", color=INK)
    return _svg(figure, f"{MEASURES.get(measure, measure)} of each case")


def uncertainty_against_error(cases: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Return, for each case, the root mean square error of ten equal parts of its voxels by rising uncertainty."""
    figure, axes = _figure("uncertainty", 3.4, 3.1)
    top = max(value for one in cases.values() for side in (one["uncertainty"], one["error"]) for value in side)
    axes.plot([0, top], [0, top], color=INK, linewidth=1, linestyle=(0, (4, 3)))
    for one in cases.values():
        axes.plot(one["uncertainty"], one["error"], color=INK, alpha=0.6, linewidth=1, marker="o", markersize=3)
    axes.set_xlabel("uncertainty, standard deviation")
    axes.set_ylabel("error, root mean square")
    axes.set_xlim(0, top * 1.04)
    axes.set_ylim(0, top * 1.04)
    return _svg(figure, "Error against uncertainty; the dashed line is where both are equal")


def differences(measure: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the differences of methods in one measure with their intervals; rows as in comparison.json."""
    here = [row for row in rows if row["measure"] == measure and row["difference"] is not None][::-1]
    figure, axes = _figure(f"{measure}-differences", 3.6, 1.2 + 0.4 * len(here))
    for place, row in enumerate(here):
        if row["low"] is not None:
            axes.plot([row["low"], row["high"]], [place, place], color=INK, linewidth=1.6)
        axes.plot([row["difference"]], [place], color=INK, marker="D", markersize=6)
    axes.axvline(0, color=INK, alpha=FAINT, linewidth=1)
    axes.set_yticks(range(len(here)), [f"{row['first']} - {row['second']}\n{row['region']}, n={row['n']}" for row in here], fontsize=8)
    axes.set_ylim(-0.6, max(len(here), 1) - 0.4)
    axes.set_title(MEASURES.get(measure, measure.replace("_", " ")), fontsize=10, loc="left", color=INK)
    return _svg(figure, f"Differences of methods in {measure} with their intervals")


def bland_altman(label: str, rows: Sequence[Mapping[str, Any]], limits: Mapping[str, Any]) -> str:
    """Return the difference of a label's volumes on their mean, with bias and limits of agreement; as in agreement.json."""
    figure, axes = _figure(f"label{label}", 2.8, 2.9)
    here = [row for row in rows if str(row["label"]) == label]
    means = [(row["before_ml"] + row["after_ml"]) / 2 for row in here]
    axes.scatter(means, [row["difference_ml"] for row in here], s=22, color=INK, linewidths=0)
    for name, style in (("bias", "solid"), ("lower", (0, (4, 3))), ("upper", (0, (4, 3)))):
        axes.axhline(limits[name], color=INK, linewidth=1, linestyle=style)
    axes.set_title(f"label {label}, n={limits['n']}", fontsize=10, loc="left", color=INK)
    axes.set_xlabel("mean of both (ml)")
    axes.set_ylabel("after - before (ml)")
    return _svg(figure, f"Bland-Altman plot of the volumes of label {label}")


def _mean(axes: Axes, place: float, summary: Mapping[str, Any]) -> None:
    """Draw a mean with its interval beside the dots."""
    if summary["mean"] is None:
        return
    if summary["low"] is not None:
        axes.plot([place, place], [summary["low"], summary["high"]], color=INK, linewidth=1.6, solid_capstyle="butt")
    axes.plot([place], [summary["mean"]], color=INK, marker="D", markersize=6)


def _figure(name: str, width: float, height: float):  # type: ignore[no-untyped-def]
    """Return a figure of `width` x `height` inches, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained")
    figure.set_gid(name)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(colors=INK, labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.7)
    return figure, axes


def _svg(figure: Any, label: str) -> str:
    """Return a figure as an SVG element to stand in HTML; the same for the same values."""
    import matplotlib

    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": figure.get_gid()}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawn = file.getvalue()
    drawn = drawn[drawn.index("<svg") :].replace(INK, "currentColor")
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    drawn = re.sub(r"font-family: [^;]*", "font-family: system-ui, sans-serif", drawn)
    drawn = re.sub(r"\b(id=\"|url\(#|href=\"#)", rf"\g<1>{figure.get_gid()}-", drawn)  # several stand in one page
    width = figure.get_figwidth() * 96
    head = f'<svg role="img" aria-label="{label}" style="max-width:{width:.0f}px"'
    return re.sub(r'<svg ([^>]*?)width="[^"]*" height="[^"]*"', rf"{head} \1", drawn, count=1)
