"""Rotated backgrounds: only the padding reveals the angle, and the noise has no direction."""

import numpy as np
import pytest

from cnnjax.data.rotated_backgrounds import ANGLES, rotated_backgrounds

PADDINGS = {
    "zeros": {"fill": 0.0},
    "grey": {"fill": 0.5},
    "edge": {"border": "edge"},
    "reflect": {"border": "reflect"},
    "circular": {"border": "circular"},
}


def backgrounds(background, padding, count=200):
    return rotated_backgrounds(background, count, 1, **PADDINGS[padding]).train


def test_only_the_fill_gives_the_angle_of_a_flat_background_away():
    """With the background's own grey every image is the same; with zeros corners get darker."""
    for padding in ("grey", "edge", "reflect", "circular"):
        assert np.ptp(backgrounds("flat", padding).images) <= 1
    dark = backgrounds("flat", "zeros")
    assert set(dark.labels) == set(range(ANGLES))
    sums = [dark.images[dark.labels == each].mean() for each in range(ANGLES)]
    # Nothing leaves at 0 degrees, most at 45.
    assert np.argmax(sums) == 0
    assert np.argmin(sums) == ANGLES // 2
    for label in range(ANGLES):
        assert np.ptp(dark.images[dark.labels == label], axis=0).max() <= 1


def test_the_noise_has_no_direction_inside():
    """Slopes along both axes are as steep at every angle, where no corner reaches."""
    noise = backgrounds("noise", "grey", 800)
    middle = noise.images[:, 8:16, 8:16, 0].astype(float)
    slopes = np.array(
        [
            [np.diff(middle[noise.labels == each], axis=axis).std() for axis in (1, 2)]
            for each in range(ANGLES)
        ]
    )
    np.testing.assert_allclose(slopes.mean(0)[0], slopes.mean(0)[1], rtol=0.03)
    # Where nothing is rotated: noise of a Gaussian spectrum, blurred by (1, 2, 1) / 4 on both axes.
    down, right = np.meshgrid(*2 * [np.fft.fftfreq(24)], indexing="ij")
    power = np.exp(-2 * (down**2 + right**2) / 0.15**2)
    blurred = power * (np.cos(np.pi * down) * np.cos(np.pi * right)) ** 4
    slope = 255 * 0.12 * np.sqrt((blurred * 4 * np.sin(np.pi * down) ** 2).sum() / power.sum())
    np.testing.assert_allclose(slopes[0], slope, rtol=0.04)
    # Interpolation makes the noise smoother, little beside the blur.
    np.testing.assert_allclose(slopes[1:], slope, rtol=0.15)


def test_paddings_differ_only_beyond_the_border():
    found = [backgrounds("noise", padding) for padding in PADDINGS]
    assert len(found) == 5
    assert len({split.images.tobytes() for split in found}) == 5
    for split in found[1:]:
        np.testing.assert_array_equal(split.labels, found[0].labels)
        np.testing.assert_array_equal(split.images[:, 5:19, 5:19], found[0].images[:, 5:19, 5:19])
    rotated = found[0].labels == ANGLES // 2
    corners = {
        padding: split.images[rotated, 0, 0].mean() for padding, split in zip(PADDINGS, found)
    }
    assert corners["zeros"] == 0
    assert corners["grey"] == pytest.approx(127.5, abs=0.6)


def test_training_and_test_images_are_others_and_classes_are_the_angles():
    dataset = rotated_backgrounds("noise", 20, 20, fill=0.5)
    assert (len(dataset.train), len(dataset.test), dataset.num_classes) == (20, 20, 8)
    assert dataset.class_names[:3] == ("0 degrees", "11.25 degrees", "22.5 degrees")
    train = {image.tobytes() for image in dataset.train.images}
    assert not train & {image.tobytes() for image in dataset.test.images}
    again = rotated_backgrounds("noise", 20, 20, fill=0.5)
    np.testing.assert_array_equal(again.test.images, dataset.test.images)
    np.testing.assert_array_equal(again.test.labels, dataset.test.labels)
    other = rotated_backgrounds("noise", 20, 20, fill=0.5, seed=1)
    seen = {image.tobytes() for split in (other.train, other.test) for image in split.images}
    assert len(seen) == 40
    assert not seen & (train | {image.tobytes() for image in dataset.test.images})


def test_the_background_is_grey_of_its_level():
    assert set(np.unique(rotated_backgrounds("flat", 9, 1, grey=0.2, fill=0.2).train.images)) == {
        51
    }
    noise = rotated_backgrounds("noise", 50, 1, grey=0.3, fill=0.3).train.images
    assert noise.mean() == pytest.approx(255 * 0.3, rel=0.02)


def test_another_background_is_an_error():
    with pytest.raises(ValueError, match="must be one of flat, noise, got 'stripes'"):
        rotated_backgrounds("stripes", 1, 1)
