"""The figures show the data they were given, whole, legibly, and leave matplotlib as it was."""

# Times is the sign of print, not the letter that looks like it.

import io
import math

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import AxesImage
from matplotlib.text import Text
from PIL import Image

from cnnjax.report.figures import (
    Accuracy,
    Price,
    ShiftPanel,
    accuracy,
    error_against_shift,
    png,
    price,
    shift_maps,
)
from cnnjax.run.statistics import Summary, summarize

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


def error_maps(variants=VARIANTS, stages=(0, 2)):
    return {variant: {STAGES[i]: errors(variant, i) for i in stages} for variant in variants}


PRICES = [
    Price("standard", 10_400, 2.7e6, 9200.0),
    Price("tiled 4 × 4", 157_000, 2.7e6, 4350.0),
    Price("local", 5.38e6, 2.7e6, 2100.0),
    Price("dense", 21.4e6, 21.4e6, None),
]


def accuracies(seeds=2):
    random = np.random.default_rng(0)
    return [
        Accuracy(
            name,
            data,
            {
                "centred": summarize(random.uniform(0.9, 0.99, seeds)),
                "translated": summarize(random.uniform(0.2, 0.9, seeds)),
            },
        )
        for name in ("standard", "tiled 4 × 4", "local")
        for data in ("centred digits", "translated digits")
    ]


FIGURES = {
    "seven panels": lambda: error_against_shift(shift_panels()),
    "one panel": lambda: error_against_shift(shift_panels(1, ["local"])),
    "maps": lambda: shift_maps(error_maps()),
    "maps in a strip": lambda: shift_maps(error_maps(), columns=7),
    "one map": lambda: shift_maps(error_maps(["tiled 2 × 2"], [0])),
    "price": lambda: price(PRICES),
    "one price": lambda: price(PRICES[-1:]),
    "accuracy": lambda: accuracy(accuracies(), chance=0.1),
    "one accuracy": lambda: accuracy(accuracies(1)[:1]),
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


@pytest.mark.parametrize("name", ["seven panels", "maps", "price", "accuracy"])
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
    data = png(FIGURES["price"]())
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
    assert png(FIGURES["price"]()) == data


def test_no_setting_of_matplotlib_is_changed():
    before = dict(matplotlib.rcParams)
    for name in ("one panel", "one map", "price", "accuracy"):
        png(FIGURES[name]())
    assert dict(matplotlib.rcParams) == before


def test_callers_settings_do_not_leak_in():
    expected = png(FIGURES["price"]())
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "axes.grid": True}):
        assert png(FIGURES["price"]()) == expected
        assert matplotlib.rcParams["font.size"] == 30


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


@pytest.mark.parametrize("columns", [2, 4, 7])
def test_shift_maps_show_their_data(columns):
    maps = error_maps()
    figure = shift_maps(maps, columns=columns)
    assert titles(figure) == list(VARIANTS)
    drawn = {}
    for axes in figure.axes:
        for image in axes.findobj(AxesImage):
            masked = image.get_array()
            drawn[masked.data.tobytes()] = (masked.mask, image.get_clim(), axes)
    assert len(drawn) == 2 * len(VARIANTS)
    highest = max(array.max() for stages in maps.values() for array in stages.values())
    for variant, stages in maps.items():
        expected = list(zip(*np.nonzero(lattice(variant)), strict=True))
        for array in stages.values():
            mask, limits, axes = drawn[array.tobytes()]
            np.testing.assert_array_equal(mask, lattice(variant))
            assert limits == (0, min(max(highest, math.sqrt(2)), 2))
            x, y = by_label(axes, "exact")
            assert list(zip(y, x, strict=True)) == expected


@pytest.mark.fast
def test_price_shows_its_data():
    figure = price(PRICES)
    parameters, work, speed = figure.axes
    assert by_label(parameters, "parameters")[0].tolist() == [row.params for row in PRICES]
    expected = [row.multiply_adds for row in PRICES]
    assert by_label(work, "multiply-adds per image")[0].tolist() == expected
    assert [bar.get_width() for bar in speed.patches] == [9200, 4350, 2100, 0]
    assert [text.get_text() for text in parameters.texts] == ["10 k", "157 k", "5.4 M", "21 M"]
    assert [text.get_text() for text in speed.texts] == ["9.2 k", "4.3 k", "2.1 k", "not measured"]
    assert [label.get_text() for label in parameters.get_yticklabels()] == [r.name for r in PRICES]
    assert parameters.get_xscale() == work.get_xscale() == "log"
    assert speed.get_xlim()[0] == 0
    first, last = parameters.transData.transform([(1e5, 0), (1e5, 3)])[:, 1]
    assert first > last


@pytest.mark.fast
def test_accuracy_shows_its_data():
    rows = [
        Accuracy("a", "centred", {"here": Summary(0.9, 0.01, 2), "there": Summary(0.4, None, 1)}),
        Accuracy("a", "moved", {"here": Summary(0.99, 0.01, 3), "there": Summary(0.8, 0.02, 3)}),
    ]
    figure = accuracy(rows, chance=0.1)
    (axes,) = figure.axes
    for row in rows:
        for test, summary in row.tests.items():
            x, _ = by_label(axes, f"a, {row.train_data}, {test}")
            assert x == pytest.approx([100 * summary.mean])
    whiskers = [line.get_xdata() for line in axes.lines if line.get_marker() == "|"]
    # t(0.975, 1) = 12.7062, t(0.975, 2) = 4.302653; the second is cut at 100 %.
    one, two = 12.7062 * 1 / math.sqrt(2), 4.302653 / math.sqrt(3)
    expected = [(90 - one, 90 + one), (99 - two, 100), (80 - 2 * two, 80 + 2 * two)]
    np.testing.assert_allclose(whiskers, expected, rtol=1e-5)
    chance = [line for line in axes.lines if list(line.get_xdata()) == [10, 10]]
    assert len(chance) == 1
    legend = [text.get_text().strip() for text in figure.legends[0].get_texts()]
    assert [text for text in legend if text] == [
        "trained on centred",
        "trained on moved",
        "tested on here",
        "tested on there",
        "chance",
    ]


def curve_panel(**curves):
    return ShiftPanel("a", curves, 1)


ONE = Summary(0.5, None, 1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: error_against_shift([]), "at least one panel"),
        (lambda: error_against_shift([curve_panel()]), r"1 to 4 curves, but got \[\]"),
        (lambda: error_against_shift([curve_panel(x=np.ones((1, 2, 3)))]), r"\(1, 2, 3\)"),
        (lambda: error_against_shift([curve_panel(x=np.ones(3), y=np.ones(4))]), r"'y'.*\(1, 4\)"),
        (lambda: error_against_shift([curve_panel(x=[0.0, math.nan])]), "finite.*'x'.*nan"),
        (lambda: error_against_shift([curve_panel(x=[0.0, -0.1])]), "not negative.*-0.1"),
        (lambda: error_against_shift([ShiftPanel("a", {"x": [0.0]}, 0)]), "'a' has 0"),
        (
            lambda: error_against_shift([curve_panel(x=[0.0]), curve_panel(y=[0.0])]),
            r"\['x'\], but 'a' holds \['y'\]",
        ),
        (lambda: error_against_shift([curve_panel(x=[0.0])], columns=0), "columns is 0"),
        (lambda: shift_maps({"a": {"x": np.ones((2, 2))}}, columns=-1), "columns is -1"),
        (lambda: shift_maps({}), "got {}"),
        (lambda: shift_maps({"a": {}}), "got {'a': {}}"),
        (lambda: shift_maps({"a": {"x": np.ones(3)}}), r"'a' has shape \(3,\)"),
        (
            lambda: shift_maps({"a": {"x": np.ones((2, 3))}, "b": {"x": np.ones((3, 3))}}),
            r"\(2, 3\).*'b' has shape \(3, 3\)",
        ),
        (
            lambda: shift_maps({"a": {"x": np.ones((2, 2))}, "b": {"y": np.ones((2, 2))}}),
            r"\['x'\], but 'b' has \['y'\]",
        ),
        (lambda: price([]), "at least one row"),
        (lambda: Price("a", 0, 1.0), "params of 'a' must be positive, but is 0"),
        (lambda: Price("a", 1, 1.0, math.inf), "images_per_second of 'a'.*inf"),
        (lambda: accuracy([]), r"got \[\]"),
        (lambda: accuracy([Accuracy("a", "b", {"t": ONE})] * 2), "its own name.*'a', 'b'"),
        (lambda: accuracy([Accuracy("a", str(i), {"t": ONE}) for i in range(5)]), "at most 4"),
        (
            lambda: accuracy([Accuracy("a", "b", {"t": ONE}), Accuracy("c", "b", {"u": ONE})]),
            r"\['t'\], but 'c' is on \['u'\]",
        ),
        (lambda: accuracy([Accuracy("a", "b", {"t": Summary(97.0, None, 1)})]), "97.0"),
    ],
)
def test_wrong_data_gets_a_sentence(call, words):
    with pytest.raises(ValueError, match=words):
        call()
