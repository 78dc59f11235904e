"""Figures show what their rows say, look the same each time, and are saved as equal bytes."""

import warnings
from pathlib import Path

import matplotlib as mpl
import matplotlib.image
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from augury import figures
from augury.errors import ParameterError

LOOKS = figures.line_styles(["a", "b"])


@pytest.fixture(autouse=True)
def own_style():
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("error")  # a layout that fails only warns
        figures.style()
        yield
        plt.close("all")


def rows(seeds: int = 4) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"dataset": d, "augmentation": a, "policy": p, "round": r, "k": k, "accuracy": 90 + k / 10 + rng.normal()}
        for d in ("mnist", "cifar-10")
        for a in ("translate", "rotate")
        for p in ("a", "b")
        for r in range(seeds)
        for k in (0, 10, 50)
    )


def test_mean_interval_is_students() -> None:
    table = figures.mean_interval(rows(), ["dataset", "augmentation", "policy", "k"], "accuracy")
    chosen = rows().query("dataset == 'mnist' and augmentation == 'translate' and policy == 'a' and k == 10").accuracy
    peer = stats.ttest_1samp(chosen, 0).confidence_interval(0.95)
    own = table.iloc[1]
    assert (own["mean"], own["std"], own["n"]) == pytest.approx((chosen.mean(), chosen.std(), 4))
    assert (own["low"], own["high"]) == pytest.approx((peer.low, peer.high))
    assert figures.mean_interval(rows(1), ["policy", "k", "dataset", "augmentation"], "accuracy")["low"].isna().all()


def test_curves_draw_means_and_bands() -> None:
    part = rows().query("dataset == 'mnist' and augmentation == 'rotate'")
    fig, ax = plt.subplots()
    figures.curves(ax, part.sample(frac=1, random_state=0), "k", "accuracy", "policy", LOOKS)
    means = part[part.policy == "b"].groupby("k").accuracy.mean()
    line = next(line for line in ax.lines if line.get_label() == "b")
    assert list(line.get_xdata()) == [0, 10, 50] and np.allclose(line.get_ydata(), means)
    assert line.get_color() == LOOKS["b"]["color"] and len(ax.collections) == 2
    fig, ax = plt.subplots()
    figures.curves(ax, part[part["round"] == 0], "k", "accuracy", "policy", LOOKS)
    assert len(ax.lines) == 2 and not ax.collections  # one seed: a line, no band


def test_panels_split_the_rows() -> None:
    fig, found = figures.panels(rows(), row="augmentation", column="dataset", x_label="points", y_label="accuracy (%)")
    assert [panel.key for panel in found] == [(a, d) for a in ("translate", "rotate") for d in ("mnist", "cifar-10")]
    for panel in found:
        assert set(zip(panel.rows.augmentation, panel.rows.dataset, strict=True)) == {panel.key}
    titles = ["(a) translate, mnist", "(b) translate, cifar-10", "(c) rotate, mnist", "(d) rotate, cifar-10"]
    assert [panel.ax.get_title() for panel in found] == titles
    labels = [(panel.ax.get_xlabel(), panel.ax.get_ylabel()) for panel in found]
    assert labels == [("", "accuracy (%)"), ("", ""), ("points", "accuracy (%)"), ("points", "")]


def test_a_combination_without_rows_is_left_blank() -> None:
    part = rows().query("not (augmentation == 'rotate' and dataset == 'mnist')")
    fig, found = figures.panels(part, row="augmentation", column="dataset", title=lambda a, d: f"{d}: {a}")
    assert len(found) == 3 and found[-1].ax.get_title() == "(c) cifar-10: rotate"
    assert [ax.axison for ax in fig.axes] == [True, True, False, True]


def test_curve_panels_draw_levels_as_lines_and_points() -> None:
    levels = pd.DataFrame(
        {
            "dataset": ["mnist", "mnist", "mnist", "cifar-10"],
            "name": ["none", "full", "VSV", "none"],
            "k": [0, 50, 30, 0],
            "accuracy": [90.0, 95.0, 94.0, 89.0],
        }
    )
    fig = figures.curve_panels(
        rows(), "k", "accuracy", "policy", "dataset", levels, x_label="augmented points", y_label="accuracy (%)"
    )
    labels = [set(ax.get_legend_handles_labels()[1]) for ax in fig.axes]
    assert labels == [{"a", "b", "none", "full", "VSV"}, {"a", "b", "none"}]
    assert sorted(text.get_text() for text in fig.legends[0].get_texts()) == ["VSV", "a", "b", "full", "none"]


def test_rows_and_columns_of_panels_hold_their_own_lines() -> None:
    both = pd.concat([rows().assign(measure="loss"), rows().assign(measure="gain", accuracy=lambda r: 0 * r.accuracy)])
    fig = figures.curve_panels(
        both, "k", "accuracy", "policy", "dataset", row="measure", x_label="augmented points", y_label="value"
    )
    assert [ax.get_title() for ax in fig.axes] == [
        "(a) loss, mnist", "(b) loss, cifar-10", "(c) gain, mnist", "(d) gain, cifar-10"
    ]  # fmt: skip
    assert all((line.get_ydata() == 0).all() == ("gain" in ax.get_title()) for ax in fig.axes for line in ax.lines)


def test_a_legend_of_long_names_is_no_wider_than_the_figure() -> None:
    long = rows()[rows().dataset == "mnist"].assign(policy=lambda r: r.policy + " with a name that is rather long")
    fig = figures.curve_panels(long, "k", "accuracy", "policy", "dataset", x_label="points", y_label="accuracy")
    assert fig.legends[0].get_window_extent().width <= fig.bbox.width
    assert len(fig.legends) == 1 and len(fig.legends[0].get_texts()) == 2


def test_ordered_styles_go_from_dark_to_light() -> None:
    looks = figures.ordered_styles([str(i) for i in range(11)])
    lightness = [sum(look["color"][:3]) for look in looks.values()]
    assert lightness == sorted(lightness) and len(set(lightness)) == 11
    assert list(figures.ordered_styles(["alone"])) == ["alone"]


def test_line_styles_are_distinct_and_stable() -> None:
    names = [f"policy {i}" for i in range(11)]
    looks = figures.line_styles(names)
    assert len({(look["color"], str(look["linestyle"])) for look in looks.values()}) == 11
    assert figures.line_styles(names) == looks
    paired = figures.line_styles(["a x", "a y", "b x"], colour=lambda n: n[0], dash=lambda n: n[2])
    assert paired["a x"]["color"] == paired["a y"]["color"] != paired["b x"]["color"]
    assert paired["a x"]["linestyle"] == paired["b x"]["linestyle"] != paired["a y"]["linestyle"]


def linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


# Viénot, Brettel and Mollon (1999): linear RGB as a protanope and a deuteranope see it.
BLIND = {
    "protan": np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]]),
    "deutan": np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]]),
}


@pytest.mark.parametrize("sight", BLIND)
def test_colours_stay_apart_for_the_colour_blind(sight: str) -> None:
    seen = np.array(
        [BLIND[sight] @ [linear(c) for c in mpl.colors.to_rgb(colour)] for colour in list(figures.palette.values())[:6]]
    )
    lightness = np.cbrt(np.clip(seen, 0, 1))
    apart = [np.linalg.norm(a - b) for i, a in enumerate(lightness) for b in lightness[:i]]
    assert min(apart) > 0.05


def test_histogram_counts_every_value() -> None:
    values = np.random.default_rng(0).lognormal(size=500)
    fig, ax = plt.subplots()
    figures.histogram(ax, values, bins=20)
    assert sum(bar.get_height() for bar in ax.patches) == 500 and ax.get_yscale() == "log"


def test_images_are_shown_as_they_are() -> None:
    rng = np.random.default_rng(0)
    grey, colour = (rng.integers(0, 256, shape, np.uint8) for shape in ((5, 5, 1), (5, 5, 3)))
    fig = figures.images([[grey, grey], [colour]], ["high", "low"], [["3", "8"], ["car"]])
    shown = [ax.images[0].get_array() for ax in fig.axes if ax.images]
    assert [array.shape for array in shown] == [(5, 5), (5, 5), (5, 5, 3)]
    assert (np.asarray(shown[0]) == grey[..., 0]).all() and fig.axes[0].images[0].get_clim() == (0, 255)
    assert [text.get_text() for ax in fig.axes for text in ax.texts] == ["high", "low"]


@pytest.mark.parametrize(
    "call",
    [
        lambda: figures.images([[np.zeros((2, 2), np.uint8)]], []),
        lambda: figures.images([[np.zeros((2, 2), np.uint8)]], ["a"], [["x", "y"]]),
        lambda: figures.panels(rows().head(0), column="dataset"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call) -> None:
    with pytest.raises(ParameterError):
        call()


def draw(stem: Path) -> list[Path]:
    fig = figures.curve_panels(
        rows(), "k", "accuracy", "policy", "dataset", x_label="augmented points", y_label="accuracy (%)"
    )
    figures.points(fig.axes[0], np.arange(60), np.full(60, 91.0))
    return figures.save(fig, stem, rows(), "data: mnist; profile: quick")


def test_equal_figures_are_equal_bytes_without_dates_or_versions(tmp_path: Path) -> None:
    first, second = draw(tmp_path / "a" / "figure-3"), draw(tmp_path / "b" / "figure-3")
    assert [path.name for path in first] == ["figure-3.png", "figure-3.svg", "figure-3.csv"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert b"<dc:date>" not in first[1].read_bytes() and b"Matplotlib v" not in first[1].read_bytes()
    assert b"Matplotlib" not in first[0].read_bytes()


def test_nothing_overlaps_or_is_cut_off(tmp_path: Path) -> None:
    fig = figures.curve_panels(
        rows(), "k", "accuracy", "policy", "dataset", x_label="augmented points", y_label="accuracy (%)"
    )
    png = figures.save(fig, tmp_path / "figure-3", rows(), "a footer")[0]
    legend = fig.legends[0].get_window_extent()
    assert all(ax.get_tightbbox().y0 > legend.y1 for ax in fig.axes)
    assert fig.texts[-1].get_window_extent().y1 < legend.y0
    picture = matplotlib.image.imread(png)[..., :3]
    for edge in (picture[:2], picture[-2:], picture[:, :2], picture[:, -2:]):
        assert (edge > 0.99).all()


def test_rows_survive_the_round_trip(tmp_path: Path) -> None:
    path = figures.save_rows(rows(), tmp_path / "rows.csv")
    back = pd.read_csv(path)
    assert list(back.columns) == list(rows().columns) and np.allclose(back.accuracy, rows().accuracy, rtol=1e-9)
    assert b"\r" not in path.read_bytes()
