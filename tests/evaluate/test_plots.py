"""Plots are drawn, the same each time, with whatever names people give."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from omokage.evaluate import drawing, plots
from omokage.evaluate.audit import audit
from omokage.evaluate.bootstrap import BootstrapConfig
from omokage.evaluate.folds import by_people, pool
from omokage.evaluate.groups import by_table
from omokage.evaluate.identification import identification
from omokage.evaluate.manifold import Manifold
from omokage.evaluate.precision_recall import precision_recall
from omokage.evaluate.redrawn import Found, with_people
from omokage.evaluate.search import Gallery, search
from omokage.evaluate.spread import axes, heat_map, spread
from omokage.evaluate.verification import verification

FEW = BootstrapConfig(replicates=100)


def crowd(people: int = 60, faces: int = 5) -> tuple[NDArray, NDArray]:
    rng = np.random.default_rng(0)
    label_N = np.repeat(np.arange(people), faces)
    vector_NE = rng.standard_normal((people, 16))[label_N] + 0.8 * rng.standard_normal((len(label_N), 16))
    return (vector_NE / np.linalg.norm(vector_NE, axis=1, keepdims=True)).astype(np.float32), label_N


def drawn() -> dict[str, drawing.Plot]:
    vector_NE, label_N = crowd()
    names = ["面影 女", "$x$ _a", "_under", "\U00013000 b\u202ec\n<svg>"]
    keys = [str(label) for label in label_N]
    groups = by_table(keys, keys, [names[label % 4] for label in label_N])
    found = verification(vector_NE, label_N)
    searched = search(Gallery(vector_NE[:150:5], label_N[:150:5]), vector_NE, label_N)[0]
    told = identification(searched, bootstrap=FEW)
    strangers = identification(
        search(Gallery(vector_NE[:5], label_N[:5]), vector_NE[5:], label_N[5:])[0], bootstrap=FEW
    )
    told_groups = audit(vector_NE, label_N, groups, 0.4, bootstrap=FEW)
    return {
        "roc": plots.roc({name: found for name in names}),
        "det": plots.det({name: found for name in names}),
        "pr": plots.precision_recall({names[0]: precision_recall(pool(by_people(vector_NE, label_N)))}),
        "cmc": plots.cmc({"a": told, "nobody": strangers}),
        "dir": plots.dir_curve({"a": told, "nobody": strangers}),
        "people": plots.people(with_people(vector_NE, label_N, Found(found), FEW)[0]),
        "scores": plots.scores(found, {names[1]: 0.4}),
        "groups": plots.groups(told_groups),
        "matrix": plots.matrix(groups.names, told_groups.cross_fmr, "FMR"),
        "empty": plots.matrix(["a", "b"], [[None, None], [None, 0.0]], "FMR"),
        "plain": plots.matrix(["a", "b"], [[0.1, None], [None, -0.2]], "similarity", log=False),
        "heat": plots.heat_map(heat_map(vector_NE, label_N, groups), groups.names),
        "scatter": plots.scatter(axes(vector_NE), groups.group_N, groups.names),
        "layout": plots.layout(
            Manifold(row_S=np.arange(40), place_S2=vector_NE[:40, :2].astype(float)),
            np.where(label_N < 3, -1, groups.group_N),
            groups.names,
        ),
        "spread": plots.spread(spread(vector_NE, label_N, groups, bootstrap=FEW)),
    }


@pytest.mark.filterwarnings("error")
def test_plots_are_pictures_and_the_same_each_time() -> None:
    first, again = drawn(), drawn()
    for name, plot in first.items():
        png = plot.png()
        picture = Image.open(io.BytesIO(png)).convert("RGB")
        assert min(picture.size) >= 200 and picture.getpixel((0, 0)) == (255, 255, 255), name
        assert len(picture.getcolors(1 << 24)) > 20, name
        if name in ("roc", "matrix", "scatter"):
            assert png == plot.png() == again[name].png(), name
    svg = first["roc"].svg()
    assert svg == again["roc"].svg() and svg.startswith(b"<?xml") and b"<svg>" not in svg


def test_a_rate_of_nothing_is_to_be_seen_among_others() -> None:
    frame = plots.matrix(["a", "b"], [[0.1, 0.001], [0.0, None]], "FMR").figure.axes[0]
    written = {text.get_text(): text.get_color() for text in frame.texts}
    assert written == {"1.0e-01": "white", "1.0e-03": "black", "0": "black", "none": "black"}


def test_names_are_drawn_or_spelt_out_but_never_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "charsets", lambda: (frozenset(range(32, 127)),))
    assert drawing.shown("女 a") == "\\u5973 a"
    assert drawing.shown("\U00013000\u202e\n") == "\\U00013000\\u202e\\u000a"
    assert drawing.shown("_x") == " _x" and drawing.shown("") == '""' and drawing.shown("$x$") == "$x$"
    monkeypatch.setattr(drawing, "charsets", lambda: (frozenset(range(32, 127)), frozenset({0x5973, 0x2026})))
    assert drawing.shown("女\u202e") == "女\\u202e"  # what turns writing around is spelt out, whatever fonts have
    assert drawing.shown("x" * 99) == "x" * 31 + "…"


def test_the_plot_of_similarities_is_a_histogram_of_the_pairs() -> None:
    vector_NE, label_N = crowd(20, 4)
    row, column = np.triu_indices(len(label_N), 1)
    score = (vector_NE.astype(float) @ vector_NE.T.astype(float))[row, column]
    same = label_N[row] == label_N[column]
    frame = plots.scores(verification(vector_NE, label_N)).figure.axes[0]
    for patch, mine in ((frame.patches[0], ~same), (frame.patches[2], same)):  # each is filled, and has an outline
        share, edges, _ = patch.get_data()
        assert share.sum() == pytest.approx(1, abs=1e-9)
        off = np.abs(np.cumsum(share - np.histogram(score[mine], edges)[0] / mine.sum()))
        assert off.max() * mine.sum() < 8.01  # so few pairs lie between two of the points of the curve


def test_curves_have_points_where_errors_are_few() -> None:
    """Of 20,000 pairs of one person, and of nearly two million of different people."""
    vector_NE, label_N = crowd(100, 20)
    found = verification(vector_NE, label_N)
    _, fmr_K, tar_K = np.array(found.roc).T
    for rate_K, pairs in ((fmr_K, found.impostor), (1 - fmr_K, found.impostor), (1 - tar_K, found.genuine)):
        rate_K = np.unique(np.round(rate_K * pairs))
        rate_K = rate_K[rate_K >= 20]
        assert (rate_K[1:] / rate_K[:-1]).max() < 1.2  # on a logarithmic axis they lie close
    frame = plots.scores(found).figure.axes[0]
    row, column = np.triu_indices(len(label_N), 1)
    score = np.einsum("pe,pe->p", vector_NE[row], vector_NE[column])
    share, edges, _ = frame.patches[0].get_data()
    true = np.histogram(score[label_N[row] != label_N[column]], edges)[0] / found.impostor
    full = true * found.impostor > 300
    assert full.sum() > 100 and (np.abs(share[full] / true[full] - 1)).max() < 0.35


def test_pairs_that_are_all_the_same_are_drawn_in_one_place() -> None:
    label_N = np.repeat(np.arange(6), 3)
    frame = plots.scores(verification(np.eye(6, dtype=np.float32)[label_N], label_N)).figure.axes[0]
    for patch, place in ((frame.patches[0], 0), (frame.patches[2], 1)):
        share, edges, _ = patch.get_data()
        full = np.flatnonzero(share)
        assert len(full) <= 2 and share.sum() == pytest.approx(1)
        assert np.abs(edges[full] - place).max() < 0.011


def test_a_legend_hides_nothing_however_many_names_it_has() -> None:
    vector_NE, label_N = crowd()
    keys = [str(label) for label in label_N]
    few, many = (by_table(keys, keys, [f"group {label % count}" for label in label_N]) for count in (2, 30))
    plain, crowded = (plots.scatter(axes(vector_NE), groups.group_N, groups.names).figure for groups in (few, many))
    for figure in (plain, crowded):
        frame = figure.axes[0]
        assert frame.get_legend().get_window_extent().y0 >= frame.get_window_extent().y1 - 1
        assert frame.get_window_extent().height > 300
    assert crowded.get_figheight() > plain.get_figheight()


@pytest.mark.parametrize("names", [[f"{size:,} enrolled" for size in (10, 100, 1000, 1033, 10_000)], ["x" * 30] * 3])
def test_a_legend_lies_within_its_figure(names: list[str]) -> None:
    with drawing.framed("x", "y") as (figure, frame):
        for name in names:
            frame.plot([0, 1], [0, 1], label=name)
        drawing.legend(frame)
        figure.canvas.draw()
        drawn = frame.get_legend()
        assert drawn is not None and len(drawn.get_texts()) == len(names)
        box = drawn.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
