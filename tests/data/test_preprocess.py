"""What the compiled step does to images, against loops in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st

from cnnjax.data.preprocess import Preprocess, preprocess, shift

# As in a training step: compiled, the translation traced.
compiled = jax.jit(preprocess, static_argnames="config")


def images(batch, height, width, channels, seed=0):
    """No pixel is 0, so that black can be told from the image."""
    random = np.random.default_rng(seed)
    return random.integers(1, 256, (batch, height, width, channels), np.uint8)


def keys(batch, seed=0):
    return jax.random.split(jax.random.key(seed), batch)


def shifted(image, dy, dx, fill):
    height, width, _ = image.shape
    out = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            if fill == "circular":
                out[(y + dy) % height, (x + dx) % width] = image[y, x]
            elif 0 <= y + dy < height and 0 <= x + dx < width:
                out[y + dy, x + dx] = image[y, x]
    return out


def corner(canvas, image):
    """The one corner at which the image stands on the canvas, whole or wrapped."""
    found = []
    height, width = canvas.shape[:2]
    for y in range(height):
        for x in range(width):
            expected = np.zeros_like(canvas)
            for i in range(image.shape[0]):
                for j in range(image.shape[1]):
                    expected[(y + i) % height, (x + j) % width] = image[i, j]
            if np.array_equal(expected, canvas):
                found.append((y, x))
    (place,) = found
    return place


def placed(stored, config, translation):
    result = compiled(stored, keys(len(stored)), config, translation)
    pixels = np.asarray(result) * 255
    # uint8 / 255 * 255 in float32 is within one rounding of the integer.
    np.testing.assert_allclose(pixels, np.rint(pixels), atol=1e-4)
    return np.rint(pixels).astype(np.uint8)


@pytest.mark.fast
@given(
    size=st.sampled_from([(1, 1, 1), (1, 4, 2), (5, 3, 1), (6, 6, 3)]),
    fill=st.sampled_from(["zero", "circular"]),
    shifts=st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=3, max_size=3),
)
def test_shift(size, fill, shifts):
    stored = images(3, *size)
    expected = [shifted(image, *by, fill) for image, by in zip(stored, shifts, strict=True)]
    result = jax.jit(shift, static_argnames="fill")(stored, np.array(shifts), fill)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, expected)


@pytest.mark.fast
@pytest.mark.parametrize("fill", ["zero", "circular"])
@pytest.mark.parametrize(("canvas", "place"), [(9, (2, 3)), ((8, 7), (1, 2)), ((5, 4), (0, 0))])
def test_centre(canvas, place, fill):
    stored = images(2, 5, 3, 1)
    config = Preprocess(canvas=canvas, fill=fill)
    height, width = (canvas, canvas) if isinstance(canvas, int) else canvas
    expected = np.zeros((2, height, width, 1))
    y, x = place
    expected[:, y : y + 5, x : x + 3] = stored / 255
    for some_keys in (None, keys(2)):  # 1 position leaves nothing to chance
        result = compiled(stored, some_keys, config)
        assert result.dtype == jnp.float32
        np.testing.assert_allclose(result, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("fill", "translation", "rows", "columns"),
    [
        ("zero", 1, [2], [1]),
        ("zero", 2, [2, 3], [1, 2]),
        ("zero", 3, [1, 2, 3], [0, 1, 2]),
        ("zero", (6, 4), [0, 1, 2, 3, 4, 5], [0, 1, 2, 3]),
        ("circular", 5, [0, 1, 2, 3, 4], [0, 1, 2, 3, 6]),
        ("circular", (8, 7), list(range(8)), list(range(7))),
    ],
)
def test_places_are_uniform_over_those_asked_for(fill, translation, rows, columns):
    # 3x4 on 8x7: 6 rows and 4 columns at which it is whole.
    image = images(1, 3, 4, 1)
    batch = 600
    config = Preprocess(canvas=(8, 7), fill=fill)
    canvases = placed(np.repeat(image, batch, 0), config, translation)
    distinct, which = np.unique(canvases, axis=0, return_inverse=True)
    places = np.array([corner(canvas, image[0]) for canvas in distinct])[which.ravel()]
    for axis, allowed in enumerate((rows, columns)):
        values, counts = np.unique(places[:, axis], return_counts=True)
        assert values.tolist() == sorted(allowed)
        expected = batch / len(allowed)
        assert np.all(np.abs(counts - expected) < 5 * np.sqrt(expected))
    # The axes are drawn independently: every pair occurs (600 draws of at most 56 pairs).
    assert len({tuple(place) for place in places}) == len(rows) * len(columns)


@pytest.mark.fast
@pytest.mark.parametrize(("fill", "most"), [("zero", 6), ("circular", 8)])
def test_traced_translation_does_not_retrace(fill, most):
    traces = []
    config = Preprocess(canvas=8, fill=fill)
    # One program for every translation, which is no argument of it.
    known = jax.jit(preprocess, static_argnames=("config", "translation"))

    @jax.jit
    def step(stored, some_keys, translation):
        traces.append(translation)
        return preprocess(stored, some_keys, config, translation)

    stored = images(40, 3, 3, 1)
    for translation in (1, 2, most):
        got = step(stored, keys(40), translation)
        expected = known(stored, keys(40), config, translation=translation)
        # Compiled as one, x / 255 may be x times 1/255: one rounding.
        np.testing.assert_allclose(got, expected, rtol=3e-7)
    # Above the largest, a traced number counts as the largest: the image stays whole.
    np.testing.assert_array_equal(step(stored, keys(40), 99), got)
    assert len(traces) == 1


def test_examples_do_not_depend_on_how_the_batch_is_split():
    stored = images(12, 6, 6, 3)
    config = Preprocess(
        canvas=20, upsample=2, fill="circular", crop_padding=2, flip=True, mean=(0.4,), std=(0.2,)
    )
    whole = compiled(stored, keys(12), config, 20)
    parts = [
        compiled(stored[start : start + 4], keys(12)[start : start + 4], config, 20)
        for start in (0, 4, 8)
    ]
    # The upsampling is a matrix product, summed in an order that may depend on the batch.
    np.testing.assert_allclose(whole, np.concatenate(parts), rtol=1e-5, atol=1e-6)
    other = compiled(stored, keys(12, seed=1), config, 20)
    assert not np.allclose(whole, other, atol=0.1)


def test_crops_are_windows_of_the_padded_image():
    image = images(1, 5, 4, 2)
    padded = np.pad(image[0], ((2, 2), (2, 2), (0, 0)))
    windows = {padded[y : y + 5, x : x + 4].tobytes() for y in range(5) for x in range(5)}
    cropped = placed(np.repeat(image, 400, 0), Preprocess(crop_padding=2), 1)
    # All 25 of them: the chance to miss one in 400 draws is 25 * 0.96**400 = 2e-6.
    assert {window.tobytes() for window in cropped} == windows


def test_flips_are_left_to_right_and_half():
    image = images(1, 4, 5, 3)
    flipped = placed(np.repeat(image, 1000, 0), Preprocess(flip=True), 1)
    mirrored = np.array([np.array_equal(one, image[0, :, ::-1]) for one in flipped])
    same = np.array([np.array_equal(one, image[0]) for one in flipped])
    assert np.all(mirrored ^ same)
    assert abs(mirrored.sum() - 500) < 5 * np.sqrt(250)


def test_no_keys_no_randomness():
    stored = images(3, 4, 4, 1)
    plain = compiled(stored, None, Preprocess(canvas=7))
    config = Preprocess(canvas=7, crop_padding=2, flip=True)
    np.testing.assert_array_equal(compiled(stored, None, config, 4), plain)
    assert not np.array_equal(compiled(stored, keys(3), config, 4), plain)


def test_one_option_does_not_move_the_draws_of_another():
    stored = np.repeat(images(1, 4, 4, 1), 50, 0)
    symmetric = np.maximum(stored, stored[:, :, ::-1])  # flipping it changes nothing
    flip, plain = Preprocess(canvas=9, flip=True), Preprocess(canvas=9)
    np.testing.assert_array_equal(
        compiled(symmetric, keys(50), flip, 6), compiled(symmetric, keys(50), plain, 6)
    )


@pytest.mark.parametrize("factor", [2, 3])
def test_upsampling_is_bilinear_with_pixel_centres(factor):
    stored = images(2, 3, 4, 2)
    height, width = 3 * factor, 4 * factor
    expected = np.zeros((2, height, width, 2))
    for y in range(height):
        for x in range(width):
            # The centre of the fine pixel in coarse coordinates, held at the edge pixels' centres.
            v = min(max((y + 0.5) / factor - 0.5, 0), 2)
            u = min(max((x + 0.5) / factor - 0.5, 0), 3)
            i, j = min(int(v), 1), min(int(u), 2)
            for a, wa in ((i, 1 - (v - i)), (i + 1, v - i)):
                for b, wb in ((j, 1 - (u - j)), (j + 1, u - j)):
                    expected[:, y, x] += wa * wb * stored[:, a, b] / 255
    result = compiled(stored, None, Preprocess(upsample=factor))
    np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_standardisation_is_over_the_whole_canvas():
    stored = images(2, 2, 2, 3)
    config = Preprocess(canvas=(3, 2), mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 2.0))
    result = compiled(stored, None, config)
    for b, y, x, c in np.ndindex(2, 3, 2, 3):
        value = stored[b, y, x, c] / 255 if y < 2 else 0.0
        expected = (value - config.mean[c]) / config.std[c]
        assert result[b, y, x, c] == pytest.approx(expected, rel=1e-5, abs=1e-6)
    one_for_all = compiled(stored, None, Preprocess(mean=(0.5,), std=(0.5,)))
    np.testing.assert_allclose(one_for_all, stored / 127.5 - 1, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"fill": "mirror"}, "`fill` must be .* got 'mirror'"),
        ({"upsample": 0}, "`upsample` must be .* got 0"),
        ({"crop_padding": -1}, "`crop_padding` must be .* got -1"),
        ({"std": (0.0,)}, r"`std` must be .* got \(0.0,\)"),
    ],
)
def test_wrong_configurations_are_named(change, wrong):
    with pytest.raises(ValueError, match=wrong):
        Preprocess(**change)


@pytest.mark.parametrize(
    ("config", "translation", "wrong"),
    [
        (Preprocess(canvas=3), 1, r"`canvas` must be at least \(4, 4\), .* got 3"),
        (
            Preprocess(canvas=6, upsample=2),
            1,
            r"at least \(8, 8\), the size of the image after upsampling by 2",
        ),
        (Preprocess(canvas=6), 4, r"`translation` must be 1 to \[3, 3\] .* got 4"),
        (Preprocess(canvas=6, fill="circular"), 7, r"`translation` must be 1 to \[6, 6\] .* got 7"),
        (Preprocess(), 0, "`translation` must be .* got 0"),
        (Preprocess(mean=(0.1, 0.2)), 1, r"must have 1 or 3 numbers, got \(0.1, 0.2\)"),
    ],
)
def test_what_does_not_fit_is_named(config, translation, wrong):
    with pytest.raises(ValueError, match=wrong):
        preprocess(images(2, 4, 4, 3), keys(2), config, translation)


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"`images` must be .* got shape \(4, 4\)"):
        preprocess(np.zeros((4, 4), np.uint8), None, Preprocess())
    with pytest.raises(ValueError, match=r"`shifts` must have shape \(2, 2\), got \(3, 2\)"):
        shift(np.zeros((2, 4, 4, 1)), np.zeros((3, 2), int), "zero")
    with pytest.raises(ValueError, match=r"`fill` must be .* got 'wrap'"):
        shift(np.zeros((2, 4, 4, 1)), np.zeros((2, 2), int), "wrap")
