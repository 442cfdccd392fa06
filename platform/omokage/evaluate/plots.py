"""Plots of an evaluation, as PNG and SVG.

Shape key: G groups, S sampled faces, K points of a curve.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes as Frame
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy.special import ndtri

from omokage.evaluate.audit import Audit
from omokage.evaluate.drawing import (
    COLOURS,
    Plot,
    colours,
    framed,
    legend,
    named_axes,
    plain_rate,
    plain_rates,
    scale,
    shown,
    style,
)
from omokage.evaluate.identification import Identification
from omokage.evaluate.interval import Interval
from omokage.evaluate.manifold import Manifold
from omokage.evaluate.people import People
from omokage.evaluate.precision_recall import PrecisionRecall
from omokage.evaluate.spread import Axes, HeatMap, Spread
from omokage.evaluate.verification import Verification

RATES: Final = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.1, 0.2, 0.5)
"""Marked on the axes of a DET curve."""

LINES: Final = 300
"""Most people whose curves are drawn, spread evenly from the worst to the best."""

GAP: Final = 0.02
"""Of similarity: points of a curve that are so far apart have no pairs between them."""

NUMBERED: Final = 12
"""Groups up to which a matrix has its numbers written in it."""


def roc(curves: Mapping[str, Verification]) -> Plot:
    """Return TAR over FMR, the rate on a logarithmic axis down to what the fewest impostor pairs can show."""
    with framed("false match rate (FMR)", "true accept rate (TAR = 1 - FNMR)") as (figure, frame):
        for colour, (name, found) in zip(colours(), curves.items(), strict=False):
            _, fmr_K, tar_K = np.array(found.roc).T
            label = f"{shown(name)}: AUC {found.auc:.4f}, EER {found.eer:.2%}"
            frame.step(np.maximum(fmr_K, 1e-12), tar_K, where="post", color=colour, label=label)
            points = [(point.fmr, point.tar) for point in found.points if point.tar is not None]
            if points:
                frame.plot(*zip(*points, strict=True), "o", color=colour, markersize=4)
        least = max(min(1 / found.impostor for found in curves.values()), 1e-9)
        frame.set(xscale="log", xlim=(least, 1), ylim=(0, 1.005))
        plain_rates(frame.xaxis)
        legend(frame)
    return Plot(figure)


def det(curves: Mapping[str, Verification]) -> Plot:
    """Return FNMR over FMR on normal deviate axes: scores of two normal distributions make a straight line."""
    with framed("false match rate (FMR)", "false non-match rate (FNMR)") as (figure, frame):
        least = max(min(1 / found.impostor for found in curves.values()), RATES[0])
        lowest = max(min(1 / found.genuine for found in curves.values()), RATES[0])
        for colour, (name, found) in zip(colours(), curves.items(), strict=False):
            _, fmr_K, tar_K = np.array(found.roc).T
            fnmr_K = 1 - tar_K
            keep = (fmr_K > 0) & (fmr_K < 1) & (fnmr_K < 1)
            # no error among few pairs is drawn at the foot of the axis, not left out
            drawn = ndtri(fmr_K[keep]), ndtri(np.maximum(fnmr_K[keep], lowest / 2))
            why = "" if keep.any() else ", no rates between none and all"
            frame.plot(*drawn, color=colour, label=f"{shown(name)}: EER {found.eer:.2%}{why}")
        for set_ticks, bottom in ((frame.set_xticks, least), (frame.set_yticks, lowest)):
            ticks = [rate for rate in RATES if rate >= bottom * (1 - 1e-9)]
            set_ticks(ndtri(ticks), [plain_rate(rate) for rate in ticks])
        frame.set(xlim=(ndtri(least * 0.8), ndtri(0.55)), ylim=(ndtri(lowest * 0.8), ndtri(0.55)))
        frame.plot([-6, 0.2], [-6, 0.2], color="#999999", linewidth=0.8, linestyle=":")
        legend(frame)
    return Plot(figure)


def precision_recall(curves: Mapping[str, PrecisionRecall]) -> Plot:
    """Return precision over recall; a dotted line is what a blind guess reaches."""
    with framed("recall", "precision") as (figure, frame):
        for colour, (name, found) in zip(colours(), curves.items(), strict=False):
            _, precision_K, recall_K = np.array(found.curve).T
            label = f"{shown(name)}: AP {found.average_precision:.4f}, prevalence {found.prevalence:.2%}"
            frame.plot(recall_K, precision_K, color=colour, label=label)
            frame.axhline(found.prevalence, color=colour, linestyle=":", linewidth=0.8)
        frame.set(xlim=(0, 1), ylim=(0, 1.005))
        legend(frame)
    return Plot(figure)


def people(found: People) -> Plot:
    """Return every person's own ROC, in thin lines, up to ``LINES`` of them; and the mean, and the worst by AUC."""
    with framed("false match rate (FMR) of the person", "true accept rate (TAR) of the person") as (figure, frame):
        several_P = np.flatnonzero(np.isfinite(found.auc_P))
        worst_P = several_P[np.argsort(found.auc_P[several_P], kind="stable")]
        some = worst_P[np.unique(np.linspace(0, len(worst_P) - 1, min(LINES, len(worst_P))).astype(int))]
        fmr_PT = np.maximum(found.fmr_PT, 1e-12)
        thin: dict[str, Any] = {"color": "#777777", "linewidth": 0.6}
        frame.step(fmr_PT[some].T, found.tar_PT[some].T, where="post", alpha=min(0.5, 20 / len(some)), **thin)
        frame.plot([], [], label=f"{len(some):,} of {len(worst_P):,} people", **thin)
        mean_T = np.maximum(found.fmr_PT[several_P].mean(0), 1e-12), found.tar_PT[several_P].mean(0)
        label = f"mean over people: AUC {found.auc_P[worst_P].mean():.4f}"
        frame.step(*mean_T, where="post", color=COLOURS[0], linewidth=2, label=label)
        worst = worst_P[0]
        label = f"the worst: AUC {found.auc_P[worst]:.4f}"
        frame.step(fmr_PT[worst], found.tar_PT[worst], where="post", color=COLOURS[1], linewidth=1.5, label=label)
        seen = found.fmr_PT[found.fmr_PT > 0]
        frame.set(xscale="log", xlim=(max(seen.min(initial=1e-2), 1e-9), 1), ylim=(0, 1.005))
        plain_rates(frame.xaxis)
        legend(frame)
    return Plot(figure)


def cmc(curves: Mapping[str, Identification]) -> Plot:
    """Return how often the person is within the first ranks."""
    with framed("rank", "share of mated probes found") as (figure, frame):
        for colour, (name, found) in zip(colours(), curves.items(), strict=False):
            if not found.cmc:
                continue
            rank = np.arange(1, len(found.cmc) + 1)
            label = f"{shown(name)}: rank 1 {found.cmc[0]:.2%}"
            frame.plot(rank, found.cmc, "o-", markersize=3, color=colour, label=label)
            if found.rank_one:
                frame.vlines(1, found.rank_one.low, found.rank_one.high, color=colour, linewidth=3, alpha=0.5)
        deepest = max((len(found.cmc) for found in curves.values()), default=1)
        low = min((found.rank_one.low for found in curves.values() if found.rank_one), default=0.0)
        frame.set(xlim=(0.5, max(deepest, 2) + 0.5), ylim=(max(0, min(0.95, low - 0.1 * (1 - low))), 1.005))
        frame.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend(frame)
    return Plot(figure)


def dir_curve(curves: Mapping[str, Identification]) -> Plot:
    """Return detection and identification rate over false positive identification rate."""
    with framed("false positive identification rate (FPIR)", "identified (DIR = 1 - FNIR)") as (figure, frame):
        least = 1.0
        for colour, (name, found) in zip(colours(), curves.items(), strict=False):
            if not found.dir_curve:
                continue
            _, fpir_K, dir_K = np.array(found.dir_curve).T
            least = min(least, 1 / found.strangers)
            frame.step(np.maximum(fpir_K, 1e-12), dir_K, where="post", color=colour, label=shown(name))
            for point in found.points:
                if point.fnir is not None:
                    ends = 1 - point.fnir.high, 1 - point.fnir.low
                    frame.vlines(point.fpir, *ends, color=colour, linewidth=3, alpha=0.5)
        frame.set(xscale="log", xlim=(min(least, 0.5), 1), ylim=(0, 1.005))
        plain_rates(frame.xaxis)
        legend(frame)
    return Plot(figure)


def scores(found: Verification, thresholds: Mapping[str, float] | None = None) -> Plot:
    """Return how alike pairs of one person and of different people are, and where thresholds lie."""
    with framed("similarity (cosine; no probability)", "share of pairs, per 0.01") as (figure, frame):
        threshold_K, fmr_K, tar_K = np.array(found.roc).T
        edges = np.arange(np.floor(threshold_K[-1] * 100), np.ceil(threshold_K[0] * 100) + 1) / 100
        for rate_K, name, pairs, colour in (
            (fmr_K, "different people", found.impostor, COLOURS[1]),
            (tar_K, "one person", found.genuine, COLOURS[0]),
        ):
            above = _above(edges, threshold_K, rate_K, pairs)
            share = np.maximum(above[:-1] - above[1:], 0)
            frame.stairs(share, edges, fill=True, alpha=0.35, color=colour, label=f"{name}, {pairs:,} pairs")
            frame.stairs(share, edges, color=colour)
        for line, (name, threshold) in zip(("--", "-.", ":", "-"), (thresholds or {}).items(), strict=False):
            frame.axvline(threshold, color="black", linestyle=line, label=f"{shown(name)} {threshold:.3f}")
        frame.set(yscale="log", ylim=(max(0.1 / found.impostor, 1e-7), 1))
        frame.minorticks_off()
        legend(frame)
    return Plot(figure)


def _above(
    edges: NDArray[np.float64], threshold_K: NDArray[np.float64], rate_K: NDArray[np.float64], pairs: int
) -> NDArray[np.float64]:
    """Return the share of pairs at or above each edge; between near points of the curve pairs are spread evenly.

    A single pair is where the curve has it, and so are pairs at the end of a gap in which there are none.
    """
    lower_K = np.append(threshold_K[1:], threshold_K[-1])
    one_K = (threshold_K - lower_K > GAP) | (np.append(np.diff(rate_K), 1) * pairs < 1.5)
    foot = np.nextafter(lower_K[one_K], 2)
    x = np.concatenate([threshold_K, foot])
    order = np.lexsort((np.concatenate([rate_K, rate_K[one_K]]), -x))
    x, y = x[order], np.concatenate([rate_K, rate_K[one_K]])[order]
    above: NDArray[np.float64] = np.interp(edges, x[::-1], y[::-1], left=1, right=0)
    return above


def groups(found: Audit) -> Plot:
    """Return FMR and FNMR of every group with intervals; a group without a figure is named all the same."""
    with style():
        figure = Figure(figsize=(9, 1.6 + 0.34 * len(found.groups)), dpi=120, layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        row = np.arange(len(found.groups))
        for frame, rate in ((left, "fmr"), (right, "fnmr")):
            for at, group in enumerate(found.groups):
                _interval(frame, at, getattr(group, rate))
            overall = found.fmr if rate == "fmr" else found.fnmr
            if overall:
                frame.axvline(overall, color="black", linestyle="--", linewidth=0.8)
            frame.grid(axis="x", alpha=0.3)
            frame.set(xlabel=f"{rate.upper()} at {found.threshold:.3f}")
            frame.xaxis.set_major_locator(MaxNLocator(4))
            frame.xaxis.set_major_formatter(plain_rate)
            frame.spines[["top", "right"]].set_visible(False)
        if any(group.fmr and group.fmr.low > 0 for group in found.groups):
            left.set_xscale("log")
            plain_rates(left.xaxis)
        left.set_yticks(row, [shown(group.name) for group in found.groups], parse_math=False)
        left.set_ylim(len(found.groups) - 0.5, -0.5)
    return Plot(figure)


def _interval(frame: Frame, at: int, told: Interval | None) -> None:
    """Draw a figure with its interval in a row of its own, or that there is none."""
    if told is None:
        frame.text(0.02, at, "withheld", transform=frame.get_yaxis_transform(), va="center", color="#777777")
        return
    frame.hlines(at, told.low, told.high, color=COLOURS[0], linewidth=3, alpha=0.5)
    frame.plot(told.value, at, "o", color=COLOURS[0], markersize=5)


def matrix(names: Sequence[str], value_GG: Sequence[Sequence[float | None]], title: str, *, log: bool = True) -> Plot:
    """Return a matrix of groups by groups; a field without a figure is left white."""
    told_GG = np.array([[np.nan if value is None else value for value in row] for row in value_GG], float)
    with style():
        side = max(4.0, min(0.55 * len(names) + 2.5, 14))
        figure = Figure(figsize=(side + 1, side), dpi=120, layout="constrained")
        frame = figure.subplots()
        norm = scale(told_GG, log)
        image = frame.imshow(np.ma.masked_invalid(told_GG), cmap="Blues", norm=norm)
        if len(names) <= NUMBERED:
            for g, h in np.ndindex(*told_GG.shape):
                value = float(told_GG[g, h])
                words = "none" if np.isnan(value) else "0" if not value else f"{value:.1e}" if log else f"{value:.2f}"
                *colour, opacity = image.to_rgba(np.ma.masked_invalid([value]))[0]
                dark = opacity > 0 and sum(colour) < 1.6  # no colour is white: no figure, or 0 among logarithms
                frame.text(h, g, words, ha="center", va="center", fontsize=8, color="white" if dark else "black")
        named_axes(frame, names, np.arange(len(names)))
        bar = figure.colorbar(image, label=title, shrink=0.8)
        if isinstance(norm, LogNorm):
            plain_rates(bar.ax.yaxis)
    return Plot(figure)


def heat_map(found: HeatMap, names: Sequence[str]) -> Plot:
    """Return the similarities of sampled faces, group by group."""
    with style():
        figure = Figure(figsize=(8, 7), dpi=120, layout="constrained")
        frame = figure.subplots()
        image = frame.imshow(found.similarity_SS, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        present, first = np.unique(found.group_S, return_index=True)
        for edge in first[1:]:
            frame.axhline(edge - 0.5, color="black", linewidth=0.6)
            frame.axvline(edge - 0.5, color="black", linewidth=0.6)
        middle = (first + np.append(first[1:], len(found.group_S))) / 2 - 0.5
        named_axes(frame, [names[group] for group in present], middle)
        figure.colorbar(image, label="similarity (cosine)", shrink=0.8)
    return Plot(figure)


def scatter(found: Axes, group_N: NDArray[np.int64], names: Sequence[str]) -> Plot:
    """Return sampled faces on the first two principal axes, with how much of the variance these show."""
    told = [f"axis {n + 1}, {share:.1%} of the variance" for n, share in enumerate(found.explained[:2])]
    return _dots((told[0], told[1]), found.place_SA[:, :2], group_N[found.row_S], names)


def layout(found: Manifold, group_N: NDArray[np.int64], names: Sequence[str]) -> Plot:
    """Return sampled faces as UMAP lays them out; its axes have no meaning."""
    return _dots(("UMAP, no unit", "UMAP, no unit"), found.place_S2, group_N[found.row_S], names)


def _dots(
    axes: tuple[str, str], place_S2: NDArray[np.float64], group_S: NDArray[np.int64], names: Sequence[str]
) -> Plot:
    """Return dots in the plane, each group in its own colour and shape; faces of no group are grey and behind."""
    with framed(*axes) as (figure, frame):
        dots: dict[str, Any] = {"s": 12, "alpha": 0.6, "linewidths": 0}
        if (group_S < 0).any():
            frame.scatter(*place_S2[group_S < 0].T, label="no group", color="#bbbbbb", marker=".", **dots)
        for number, name in enumerate(names):
            colour = COLOURS[number % len(COLOURS)]
            marker = "o^sDv<>P"[number // len(COLOURS) % 8]
            frame.scatter(*place_S2[group_S == number].T, label=shown(name), color=colour, marker=marker, **dots)
        legend(frame)
    return Plot(figure)


def spread(found: Spread) -> Plot:
    """Return every group's sum of squares of each face with its interval; a group without one is named all the same."""
    with style():
        figure = Figure(figsize=(7.5, 1.6 + 0.34 * len(found.groups)), dpi=120, layout="constrained")
        frame = figure.subplots()
        for at, group in enumerate(found.groups):
            _interval(frame, at, group.per_face)
        frame.grid(axis="x", alpha=0.3)
        frame.set(xlabel="within-group sum of squares of each face", ylim=(len(found.groups) - 0.5, -0.5))
        frame.set_yticks(range(len(found.groups)), [shown(group.name) for group in found.groups], parse_math=False)
        frame.spines[["top", "right"]].set_visible(False)
    return Plot(figure)
