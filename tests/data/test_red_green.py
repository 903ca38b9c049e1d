"""The Red-Green images: where the squares are, in which order, and what the swap changes."""

import collections

import jax
import numpy as np
import pytest

from cnnjax import layers, models
from cnnjax.data import red_green as module
from cnnjax.data.red_green import BANDS, JITTER, SIZE, SQUARE, max_pooled_ceiling, red_green

pytestmark = pytest.mark.fast


def corners(image, channel):
    """Top left corner of the one square in a channel, which is checked to be one."""
    rows, columns = np.nonzero(image[..., channel])
    top, left = rows.min(), columns.min()
    expected = np.zeros((SIZE, SIZE), np.uint8)
    expected[top : top + SQUARE, left : left + SQUARE] = 255
    np.testing.assert_array_equal(image[..., channel], expected)
    return top, left


@pytest.mark.parametrize("swapped", [False, True])
def test_order_tells_the_class_and_height_the_half(swapped):
    images, labels = (lambda split: (split.images, split.labels))(
        red_green(5, 400, swapped=swapped)
    )
    assert images.shape == (400, 32, 32, 3)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(labels[:4], [0, 1, 0, 1])
    tops = {0: set(), 1: set()}
    for image, label in zip(images, labels):
        (red_top, red_left), (green_top, green_left) = corners(image, 0), corners(image, 1)
        assert not image[..., 2].any()
        assert (red_left < green_left) == (label == 0)
        assert abs(red_left - green_left) > SQUARE
        tops[int(label)] |= {int(red_top), int(green_top)}
    upper, lower = (set(range(band - JITTER, band + JITTER + 1)) for band in BANDS)
    assert tops == ({0: lower, 1: upper} if swapped else {0: upper, 1: lower})


def test_the_swap_is_a_circular_shift_by_half_the_image():
    plain, swapped = red_green(7, 50), red_green(7, 50, swapped=True)
    np.testing.assert_array_equal(np.roll(plain.images, SIZE // 2, axis=1), swapped.images)
    np.testing.assert_array_equal(plain.labels, swapped.labels)


def test_images_are_a_function_of_the_seed():
    first, again, other = red_green(1, 30), red_green(1, 30), red_green(2, 30)
    np.testing.assert_array_equal(first.images, again.images)
    assert (first.images != other.images).any()
    with pytest.raises(ValueError, match="`number` must be at least 1, got 0"):
        red_green(1, 0)


def all_images(heights):
    """Every image with these heights, its class and its probability, one after the other."""
    for label, left in np.ndindex(2, 10):
        for right in range(left + 5, 28):
            for tops in np.ndindex(len(heights), len(heights)):
                image = np.zeros((SIZE, SIZE, 2), bool)
                for place, (column, top) in enumerate(zip((left, right), tops)):
                    row = BANDS[label] + heights[top]
                    image[row : row + 4, column : column + 4, place ^ label] = True
                yield image, label, 1 / (2 * 10 * (23 - left) * len(heights) ** 2)


def windows_of(image, size, stride, border):
    """The set of the windows, cut out of the image."""
    if border == "circular":  # each window about the middle of its stride
        image = np.roll(image, (size - 1) // 2, (0, 1))
        padded = np.pad(image, ((0, size), (0, size), (0, 0)), "wrap")
        count = SIZE // stride
    else:
        padded = np.pad(image, ((size - 1, size), (size - 1, size), (0, 0)))
        count = -(-(SIZE + size - 1) // stride)
    cut = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (0, 1))
    cut = cut[: count * stride : stride, : count * stride : stride]
    return frozenset(map(bytes, np.packbits(cut.reshape(count**2, -1), axis=1)))


@pytest.mark.parametrize("border", ["circular", "full"])
@pytest.mark.parametrize(("window", "stride"), [(17, 8), (7, 16)])
def test_the_ceiling_is_that_of_the_windows_cut_out(border, window, stride, monkeypatch):
    """Three heights, to have fewer images."""
    monkeypatch.setattr(module, "JITTER", 1)
    seen = collections.defaultdict(lambda: [0.0, 0.0])
    for image, label, probability in all_images((-1, 0, 1)):
        seen[windows_of(image, window, stride, border)][label] += probability
    assert sum(map(sum, seen.values())) == pytest.approx(1)
    expected = sum(map(max, seen.values()))
    assert max_pooled_ceiling(window, stride, border) == pytest.approx(expected, abs=1e-12)


def test_ceilings_of_the_published_network():
    assert max_pooled_ceiling(17, 8, "circular") == pytest.approx(0.6703, abs=5e-5)
    assert max_pooled_ceiling(17, 8, "full") == pytest.approx(0.8724, abs=5e-5)
    # Squares that are never in one window, and windows that hold all there is.
    assert max_pooled_ceiling(1, 32, "full") == pytest.approx(0.5)
    assert max_pooled_ceiling(32, 32, "full") > 0.99


@pytest.mark.slow
@pytest.mark.parametrize("border", ["circular", "full"])
def test_the_rows_of_the_published_images_leave_the_ceilings_as_they_are(border):
    """They are moved by -4 to 3 rows."""
    seen = collections.defaultdict(lambda: [0.0, 0.0])
    for image, label, probability in all_images(range(-4, 4)):
        seen[windows_of(image, 17, 8, border)][label] += probability
    expected = sum(map(max, seen.values()))
    assert max_pooled_ceiling(17, 8, border) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("border", "padding"), [("circular", "CIRCULAR"), ("full", "FULL")])
def test_a_network_of_random_weights_tells_apart_what_differs_in_its_windows(border, padding):
    """Images of equal windows have equal logits, others, mostly, have not."""

    def conv(**options):
        return layers.Conv(**options, use_bias=False)

    model = models.ConvNet(2, conv, (8, 8), (2, 4), 3, padding)
    images, groups = [], collections.defaultdict(list)
    for image, label, _ in all_images((0,)):
        groups[windows_of(image, 7, 8, border)].append((label, len(images)))
        images.append(image)
    x = np.pad(np.array(images, np.float32), ((0, 0), (0, 0), (0, 0), (0, 1)))
    logits = np.asarray(
        jax.jit(lambda x: model.init_with_output(jax.random.key(0), x)[0])(x), np.float64
    )
    shared = [group for group in groups.values() if len({label for label, _ in group}) == 2]
    assert shared
    for group in groups.values():
        same = logits[[number for _, number in group]]
        assert np.abs(same - same[:1]).max() < 1e-5 * np.abs(logits).max()
    one = np.array([group[0][1] for group in groups.values()])
    apart = np.abs(logits[one, None] - logits[None, one]).max(-1)
    np.fill_diagonal(apart, np.inf)
    # Random features tell most sets apart; none is needed to tell all.
    assert (apart.min(1) > 1e-4 * np.abs(logits).max()).mean() > 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((33, 8, "full"), "got 33 and 8"),
        ((17, 5, "full"), "got 17 and 5"),
        ((17, 8, "same"), "`border` must be 'circular' or 'full', got 'same'"),
    ],
)
def test_a_window_that_does_not_fit_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        max_pooled_ceiling(*arguments)


def test_the_splits_of_a_data_set_are_streams_of_their_own_and_only_test_images_are_swapped():
    found = module.dataset(2, 6, 4, swapped=True)
    assert (found.num_classes, found.class_names[0]) == (2, "red left of green")
    for split, expected in (
        (found.train, red_green(6, 6)),
        (found.validation, red_green(7, 4)),
        (found.test, red_green(8, 4, swapped=True)),
    ):
        np.testing.assert_array_equal(split.images, expected.images)
        np.testing.assert_array_equal(split.labels, expected.labels)
