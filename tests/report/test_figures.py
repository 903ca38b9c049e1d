"""The figures show the data they were given, whole, legibly, and leave matplotlib as it was."""

# Times is the sign of print, not the letter that looks like it.

import io
import math

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image

from cnnjax import report
from cnnjax.report import (
    Curve,
    ShiftPanel,
    bars,
    collapse,
    color_of,
    confusion,
    dots,
    image_grid,
    learning_curves,
    polar,
    rendered,
)
from cnnjax.run.statistics import Summary

LIMITS = {"exact": 1e-5, "independent": math.sqrt(2)}


def error_against_shift(panels, **options):
    return report.error_against_shift(panels, **LIMITS, **options)


SHIFTS = 12
STAGES = ("before training", "trained on centred digits", "trained on translated digits")
VARIANTS = {
    "standard": 1,
    "dilated": 1,
    "tiled 2 × 2": 2,
    "tiled 4 × 4": 4,
    "low rank": SHIFTS,
    "local": SHIFTS,
    "dense": SHIFTS,
}


def lattice(variant):
    """Where both shifts are multiples of the variant's step: [vertical, horizontal]."""
    y, x = np.indices((SHIFTS, SHIFTS))
    return (y % VARIANTS[variant] == 0) & (x % VARIANTS[variant] == 0)


def errors(variant, stage, seed=0):
    """Errors over all shifts: rounding on the lattice, 0.1 to 1.2 off it."""
    random = np.random.default_rng([list(VARIANTS).index(variant), stage, seed])
    scale = np.where(lattice(variant), 1e-7, 0.2)
    return scale * random.uniform(0.5, 6.0, (SHIFTS, SHIFTS))


def shift_panels(seeds=3, variants=VARIANTS):
    return [
        ShiftPanel(
            variant,
            {
                name: np.stack([errors(variant, i, seed)[0] for seed in range(seeds)])
                for i, name in enumerate(STAGES)
            },
            VARIANTS[variant],
        )
        for variant in variants
    ]


COSTS = {
    "standard": {"parameters": 10_400, "multiply-adds": 2.7e6, "images/s": 9200.0},
    "tiled 4 × 4": {"parameters": 157_000, "multiply-adds": 2.7e6, "images/s": 4350.0},
    "local": {"parameters": 5.38e6, "multiply-adds": 2.7e6, "images/s": 2100.0},
    "dense": {"parameters": 21.4e6, "multiply-adds": 21.4e6, "images/s": None},
}
ACCURACIES = {
    "standard": {"centred": Summary(0.9, 0.01, 3), "translated": Summary(0.4, None, 1)},
    "local": {"centred": Summary(0.99, 0.02, 3), "translated": Summary(0.8, 0.02, 2)},
}
SHARES = np.array([[0.2, 0.8], [0.5, 0.5], [1.0, 0.0]])


def curves(*values, name="loss"):
    return {name: {"steps": [10, 20, 30][: len(values)], "values": list(values)}}


CURVES = {
    "none": [curves(3.0, 2.0, 1.0) | curves(0.2, 0.4, name="eval_accuracy"), curves(5.0, 4.0)],
    "p4": [curves(1.0, 0.5, 0.25)],
}
FIGURES = {
    "seven panels": lambda: error_against_shift(shift_panels()),
    "one panel": lambda: error_against_shift(shift_panels(1, ["local"])),
    "bars": lambda: bars(COSTS),
    "one bar": lambda: bars({"dense": COSTS["dense"]}),
    "dots": lambda: dots(ACCURACIES, "accuracy (%)", reference=("chance", 10.0)),
    "polar": lambda: polar({"a": SHARES, "b": SHARES[:, :1]}, np.array([0.0, 120.0, 240.0])),
    "confusion": lambda: confusion(np.array([[3, 1], [0, 0]]), ["cat", "dog"]),
    "many classes": lambda: confusion(np.eye(30), list(map(str, range(30)))),
    "curves": lambda: learning_curves(CURVES),
    "collapse": lambda: collapse(
        {"t = 1": np.zeros(32), "t = 2": np.tile([0, 1.4], 16)},
        [Curve(name, [800, 1600, 102_400], SHARES[:, 0]) for name in ("t = 1", "t = 2")],
        {"t = 1": 1, "t = 2": 4},
        ordered=["t = 1", "t = 2"],
        exact=1e-5,
    ),
    "images": lambda: image_grid([("a\nb", np.eye(4)), ("a\nb", np.eye(4)[..., None])]),
}


def by_label(axes, label):
    """x and y of the one line of this label."""
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return np.asarray(line.get_xdata()), np.asarray(line.get_ydata())


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_whole_and_legible(name):
    figure = FIGURES[name]()
    renderer = FigureCanvasAgg(figure).get_renderer()
    width, height = figure.get_size_inches()
    assert width <= 7.0 + 1e-9
    assert height < 9.0
    box = figure.get_tightbbox(renderer)
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= width
    assert box.y1 <= height
    for axes in figure.axes:
        assert axes.lines or axes.images or axes.patches or axes.collections
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    assert texts
    assert min(text.get_fontsize() for text in texts) >= 8


@pytest.mark.parametrize("name", ["seven panels", "bars", "dots", "curves", "images"])
def test_titles_and_legend_do_not_overlap(name):
    figure = FIGURES[name]()
    renderer = FigureCanvasAgg(figure).get_renderer()
    texts = [axes.title for axes in figure.axes if axes.get_title()]
    texts += [text for legend in figure.legends for text in legend.get_texts()]
    texts = [text for text in texts if text.get_text().strip()]
    boxes = [text.get_window_extent(renderer) for text in texts]
    for i, box in enumerate(boxes):
        for other in range(i):
            assert not box.overlaps(boxes[other]), (texts[i], texts[other])


def test_png_is_sharp_and_repeatable():
    data = rendered(FIGURES["bars"]())
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        assert image.width == pytest.approx(7.0 * 220, abs=1)
        # PNG stores whole pixels per metre.
        assert image.info["dpi"][0] == pytest.approx(220, rel=1e-3)
        pixels = np.asarray(image.convert("L"))
    assert pixels.min() < 80
    assert pixels.max() == 255
    # Nothing is cut: the canvas has a white frame.
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge == 255).all()
    assert rendered(FIGURES["bars"]()) == data


def test_no_setting_of_matplotlib_is_changed():
    before = dict(matplotlib.rcParams)
    for name in ("one panel", "one bar", "bars", "dots"):
        rendered(FIGURES[name]())
    assert dict(matplotlib.rcParams) == before


def test_callers_settings_do_not_leak_in():
    expected = rendered(FIGURES["bars"]())
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "axes.grid": True}):
        assert rendered(FIGURES["bars"]()) == expected
        assert matplotlib.rcParams["font.size"] == 30


@pytest.mark.fast
def test_a_style_of_the_user_gives_fonts_colours_and_width(tmp_path):
    (tmp_path / "mine.mplstyle").write_text(
        "font.size: 5\nfigure.figsize: 3.5, 2\naxes.prop_cycle: cycler('color', ['ff0000'])\n"
    )
    plain = bars({"a": {"length": 1.0}, "b": {"length": 2.0}})
    with report.drawn_with(str(tmp_path / "mine.mplstyle")):
        mine = bars({"a": {"length": 1.0}, "b": {"length": 2.0}})
        with Image.open(io.BytesIO(rendered(mine))) as image:
            red = np.asarray(image.convert("RGB")) == [255, 0, 0]
    np.testing.assert_allclose(mine.get_size_inches(), plain.get_size_inches() / 2)
    assert red.all(-1).mean() > 0.03
    with Image.open(io.BytesIO(rendered(plain))) as image:
        assert not (np.asarray(image.convert("RGB")) == [255, 0, 0]).all(-1).any()
    nonsense = report.drawn_with("nonsense")
    with pytest.raises(ValueError, match=r"style must be .* got 'nonsense'"), nonsense:
        pass


@pytest.mark.fast
def test_error_against_shift_shows_its_data():
    panels = shift_panels()
    figure = error_against_shift(panels)
    assert titles(figure) == list(VARIANTS)
    for axes, panel in zip(figure.axes, panels, strict=True):
        for name, curve in panel.curves.items():
            x, y = by_label(axes, name)
            np.testing.assert_array_equal(x, np.arange(SHIFTS))
            np.testing.assert_allclose(y, (curve[0] + curve[1] + curve[2]) / 3, rtol=1e-12)
            zeros, _ = by_label(axes, f"{name}, exact")
            assert zeros.tolist() == list(range(0, SHIFTS, VARIANTS[panel.title]))
        predicted, _ = by_label(axes, "predicted")
        assert predicted.tolist() == list(range(0, SHIFTS, VARIANTS[panel.title]))
        low, high = axes.get_ylim()
        assert low < 0
        assert high >= max(curve.max() for curve in panel.curves.values())
    # Four columns: the lowest panel of each has the shifts written below it.
    below = [axes.xaxis.get_tick_params()["labelbottom"] for axes in figure.axes]
    assert below == [False] * 3 + [True] * 4
    assert figure.get_supxlabel() == "horizontal shift (pixels, circular)"
    assert figure.get_supylabel() == "equivariance error"
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    assert set(STAGES) < legend


def test_error_against_shift_bands_reach_from_least_to_most():
    curve = np.array([[0.0, 0.5, 0.9], [0.0, 0.7, 0.4]])
    axes = error_against_shift([ShiftPanel("a", {"before": curve}, 3)]).axes[0]
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    assert {(x, round(y, 12)) for x, y in corners} == {
        (0, 0),
        (1, 0.5),
        (1, 0.7),
        (2, 0.4),
        (2, 0.9),
    }
    alone = error_against_shift([ShiftPanel("a", {"before": curve[0]}, 3)]).axes[0]
    assert not alone.collections


def test_a_shift_is_exact_only_when_every_seed_is():
    curve = np.array([[0.0, 1e-7, 1e-7], [0.0, 1e-7, 0.3]])
    axes = error_against_shift([ShiftPanel("a", {"before": curve}, 1)]).axes[0]
    assert by_label(axes, "before, exact")[0].tolist() == [0, 1]
    # The prediction is drawn as given, also where the measurement contradicts it.
    assert by_label(axes, "predicted")[0].tolist() == [0, 1, 2]


def test_equal_curves_all_show():
    # Drawn one on another, each thinner than what lies below it.
    axes = error_against_shift(shift_panels(1, ["local"])).axes[0]
    lines = [next(line for line in axes.lines if line.get_label() == name) for name in STAGES]
    widths = [line.get_linewidth() for line in lines]
    orders = [line.get_zorder() for line in lines]
    assert widths == sorted(widths, reverse=True)
    assert orders == sorted(orders)
    assert len({line.get_color() for line in lines}) == 3
    assert len({(line.get_linewidth(), line.get_linestyle()) for line in lines}) == 3


def test_wild_errors_are_cut_and_do_not_flatten_the_rest():
    figure = error_against_shift([curve_panel(x=[0.0, 31.0])])
    low, high = figure.axes[0].get_ylim()
    assert high == 2.2
    assert low < by_label(figure.axes[0], "predicted")[1].max() < -0.1
    assert len(figure.axes[0].get_yticks()) < 8


def test_thresholds_are_the_callers():
    curve = np.array([0.0, 0.3, 0.7])
    panel = ShiftPanel("a", {"before": curve}, 1)
    figure = report.error_against_shift([panel], exact=0.5, independent=0.9)
    assert by_label(figure.axes[0], "before, exact")[0].tolist() == [0, 1]
    assert [0.9, 0.9] in [list(line.get_ydata()) for line in figure.axes[0].lines]
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    assert {"independent (0.900)", "exactly zero (≤ 0.5)"} < legend


@pytest.mark.fast
def test_bars_show_their_data():
    figure = bars(COSTS)
    parameters, work, speed = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(COSTS["dense"])
    assert by_label(parameters, "parameters")[0].tolist() == [10_400, 157_000, 5.38e6, 21.4e6]
    # Eightfold at most: lengths can be compared.
    assert [bar.get_width() for bar in work.patches] == [2.7e6, 2.7e6, 2.7e6, 21.4e6]
    assert [bar.get_width() for bar in speed.patches] == [9200, 4350, 2100, 0]
    assert [text.get_text() for text in parameters.texts] == ["10 k", "157 k", "5.4 M", "21 M"]
    assert [text.get_text() for text in speed.texts] == ["9.2 k", "4.3 k", "2.1 k", "not measured"]
    assert [label.get_text() for label in parameters.get_yticklabels()] == list(COSTS)
    assert (parameters.get_xscale(), speed.get_xscale()) == ("log", "linear")
    assert speed.get_xlim()[0] == work.get_xlim()[0] == 0
    first, last = parameters.transData.transform([(1e5, 0), (1e5, 3)])[:, 1]
    assert first > last


def test_what_nobody_measured_is_no_panel():
    figure = bars(
        {"a": {"parameters": 3, "images/s": None}, "b": {"parameters": 0, "images/s": None}}
    )
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == [3, 0]
    sparse = bars({"a": {"n": 1}, "b": {"n": None}, "c": {"n": 1000}}).axes[0]
    assert [list(values) for values in by_label(sparse, "n")] == [[1, 1000], [0, 2]]
    assert [text.get_text() for text in sparse.texts] == ["1", "not measured", "1.0 k"]


@pytest.mark.fast
def test_dots_show_their_data_and_intervals_of_three_seeds():
    figure = dots(ACCURACIES, "accuracy (%)", reference=("chance", 10.0))
    (axes,) = figure.axes
    means = [line for line in axes.lines if line.get_marker() in ("o", "D")]
    found = [(float(line.get_xdata()[0]), round(float(line.get_ydata()[0]))) for line in means]
    assert found == [(90.0, 0), (40.0, 0), (99.0, 1), (80.0, 1)]
    assert [line.get_marker() for line in means] == ["o", "D", "o", "D"]
    whiskers = [line.get_xdata() for line in axes.lines if line.get_marker() == "|"]
    # t(0.975, 2) = 4.302653; the second is cut at 100 %; one seed and two have none.
    half = 4.302653 / math.sqrt(3)
    np.testing.assert_allclose(whiskers, [(90 - half, 90 + half), (99 - 2 * half, 100)], rtol=1e-6)
    assert [10, 10] in [list(line.get_xdata()) for line in axes.lines]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["standard", "local"]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["centred", "translated", "chance"]
    assert axes.get_xlabel() == "accuracy (%)"


@pytest.mark.fast
def test_polar_curves_close_and_have_the_colours_of_their_numbers():
    first, second = polar({"a": SHARES, "b": SHARES[:, 1:]}, np.array([0.0, 120.0, 240.0])).axes
    one, other = first.lines
    np.testing.assert_allclose(np.rad2deg(one.get_xdata()), [0, 120, 240, 360])
    assert one.get_ydata().tolist() == [0.2, 0.5, 1.0, 0.2]
    assert other.get_ydata().tolist() == [0.8, 0.5, 0.0, 0.8]
    assert (one.get_color(), other.get_color()) == (color_of(0), color_of(1))
    assert [line.get_ydata().tolist() for line in second.lines] == [[0.8, 0.5, 0.0, 0.8]]
    assert (first.get_title(), second.get_title()) == ("a", "b")
    assert color_of(8) == color_of(0)


@pytest.mark.fast
def test_confusion_is_in_percent_of_the_true_class():
    axes, _ = confusion(np.array([[3, 1], [0, 2]]), ["cat", "dog"]).axes
    (image,) = axes.images
    assert image.get_array().tolist() == [[75, 25], [0, 100]]
    written = {(text.get_position(), text.get_text()) for text in axes.texts}
    assert written == {((0, 0), "75"), ((1, 0), "25"), ((1, 1), "100")}  # (predicted, true)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["cat", "dog"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
    empty = confusion(np.array([[0, 0], [0, 2]]), ["cat", "dog"]).axes[0].images[0]
    assert empty.get_array().tolist() == [[0, 0], [0, 100]]
    assert not confusion(np.eye(21), list(map(str, range(21)))).axes[0].texts


@pytest.mark.fast
def test_learning_curves_show_each_seed_and_their_mean():
    figure = learning_curves(CURVES)
    loss, accuracy = figure.axes
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("loss", "accuracy (%)")
    mean = by_label(loss, "none, training batches")
    # The mean ends where the shorter of two seeds ends.
    assert [list(values) for values in mean] == [[10, 20], [4.0, 3.0]]
    seeds = [line for line in loss.lines if line.get_label() == "none, training batches, seed"]
    assert [list(line.get_ydata()) for line in seeds] == [[3.0, 2.0, 1.0], [5.0, 4.0]]
    assert by_label(loss, "p4, training batches")[1].tolist() == [1.0, 0.5, 0.25]
    assert by_label(accuracy, "none, evaluation")[1].tolist() == [20.0, 40.0]
    assert {line.get_color() for line in seeds} == {color_of(0)}
    legend = [text.get_text().strip() for text in figure.legends[0].get_texts()]
    assert legend == ["none", "p4", "training batches", "evaluation"]


def test_learning_curves_of_one_step_are_points_and_what_is_not_finite_a_gap():
    axes = learning_curves({"": [curves(0.5)]}).axes[0]
    assert by_label(axes, "training batches")[1].tolist() == [0.5]
    assert axes.lines[0].get_marker() == "o"
    axes = learning_curves({"": [curves(0.5, None, 0.25)]}).axes[0]
    np.testing.assert_array_equal(by_label(axes, "training batches")[1], [0.5, np.nan, 0.25])


def test_images_keep_their_titles_and_values():
    grey, colour = np.arange(4.0).reshape(2, 2), np.full((2, 2, 3), 7.0)
    figure = image_grid([("a", grey), ("a", grey[..., None]), ("b", colour)], columns=2)
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in shown] == ["a", "a", "b"]
    assert [axes.images[0].get_array().tolist() for axes in shown] == [
        grey.tolist(),
        grey.tolist(),
        colour.tolist(),
    ]
    assert figure.axes[0].get_gridspec().get_geometry() == (2, 2)
    (signed,) = image_grid({"c": grey - 1}, signed=True).axes
    assert signed.images[0].get_clim() == (-2, 2)


def curve_panel(**panel_curves):
    return ShiftPanel("a", panel_curves, 1)


ONE = Summary(0.5, None, 1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bars({}), "rows must have values, got {}"),
        (lambda: bars({"a": {"n": None}}), "rows must have values"),
        (lambda: dots({}, "x"), r"rows must all have the same 1 to 4 series, got \{\}"),
        (lambda: dots({"a": {"t": ONE}, "b": {"u": ONE}}, "x"), r"'b': \['u'\]"),
        (lambda: dots({"a": {str(n): ONE for n in range(5)}}, "x"), "1 to 4 series"),
        (lambda: image_grid({}), "panels must be at least one image, got none"),
        (lambda: learning_curves({"a": [{}]}), r"must have curves of \['loss', 'accuracy'\]"),
    ],
)
def test_wrong_data_gets_a_sentence(call, words):
    with pytest.raises(ValueError, match=words):
        call()
