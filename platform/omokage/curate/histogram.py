"""The plot of a calibration: how alike faces of one person and of different people are, and where the cut lies."""

import io

import numpy as np
from matplotlib.figure import Figure

from omokage.curate.calibrate import Calibration


def plot(calibration: Calibration, threshold: float) -> bytes:
    """Return a PNG of both distributions on a logarithmic scale, with the threshold."""
    figure = Figure(figsize=(8, 4.5), dpi=120)
    axes = figure.add_axes((0.1, 0.12, 0.87, 0.83))  # a layout engine would draw everything twice
    edges = np.array(calibration.edges)
    for counts, name, colour in (
        (calibration.impostor, "different people", "#b2452f"),
        (calibration.genuine, "one person", "#2f6db2"),
    ):
        share = np.array(counts) / max(1, sum(counts))
        axes.stairs(share, edges, fill=True, alpha=0.35, color=colour, label=f"{name}, {sum(counts):,} pairs")
        axes.stairs(share, edges, color=colour)
    rate = calibration.fmr_at(threshold)
    axes.axvline(threshold, color="black", linestyle="--", label=f"threshold {threshold:.3f}, FMR {rate:.1e}")
    seen = edges[:-1][(np.array(calibration.impostor) + np.array(calibration.genuine)) > 0]
    axes.set(
        yscale="log",
        xlim=(float(seen.min(initial=0.0)) - 0.05, 1.0),
        xlabel="similarity (cosine)",
        ylabel="share of pairs, per 0.01",
    )
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:g}")  # powers of ten as formulas take a third of the time
    axes.legend(loc="upper left", framealpha=0.9)
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": "omokage"})
    return out.getvalue()
