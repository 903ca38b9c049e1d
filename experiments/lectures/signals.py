"""One operator for signals of every kind: sound, skeletons, images, video, volumes."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure as Canvas

from cnnjax import ops
from cnnjax.report import (
    BLUE,
    DOUBLE_COLUMN,
    VERMILLION,
    Block,
    Figure,
    Heading,
    Paragraph,
    Table,
    styled,
)

TITLE = "Signals of one to three dimensions"

Numbers = Mapping[str, Any]


def numbers() -> dict[str, Any]:
    """A working example of each kind of data, made here."""
    return {
        "audio": _audio(),
        "skeleton": _skeleton(),
        "video": _video(),
        "volume": _volume(),
        "sizes": _sizes(),
    }


def blocks(numbers: Numbers) -> list[Block]:
    """The examples, and the inputs of variable size."""
    audio, video = numbers["audio"], numbers["video"]
    volume, skeleton = numbers["volume"], numbers["skeleton"]
    return [
        Heading("Sound: one axis, one channel", 3),
        Paragraph(
            f"A chirp from {audio['low']:.0f} to {audio['high']:.0f} Hz passes two Gabor filters "
            f"of kernel size {audio['kernel_size']}, tuned to {audio['tuned'][0]:.0f} and "
            f"{audio['tuned'][1]:.0f} Hz: each responds when the chirp passes its frequency, at "
            f"{audio['peaks'][0]:.2f} and {audio['peaks'][1]:.2f} s (the chirp is there at "
            f"{audio['expected'][0]:.2f} and {audio['expected'][1]:.2f} s)."
        ),
        Figure(
            "audio",
            _audio_figure(audio),
            "Magnitude of the two filters' responses over time.",
            "Two curves, each with one peak where the chirp passes its frequency.",
        ),
        Heading("Joints of a skeleton: one axis, many channels", 3),
        Paragraph(
            f"{skeleton['channels']} channels, the coordinates of {skeleton['channels'] // 3} "
            f"joints over {skeleton['frames']} frames. A difference over time, the same for all "
            "channels (grouped, a kernel for each channel), gives velocities; the joint that "
            f"moves is number {skeleton['moved']}, the fastest one found is number "
            f"{skeleton['fastest']}."
        ),
        Heading("Colour video: two axes and time", 3),
        Paragraph(
            f"A dot moves to the right over noise, by {video['speed']} pixel per frame. Of kernels "
            f"of 3 x 3 x 3 tuned to the speeds {_list(video['speeds'])}, the one tuned to "
            f"{video['strongest']} has the largest response."
        ),
        Heading("A volume, as of computed tomography: three axes", 3),
        Paragraph(
            f"A ball of radius {volume['radius']} in a volume of {volume['size']} cubed. A "
            "three-dimensional Laplacian is zero inside and outside and responds at the surface: "
            f"{volume['responding']:,} of {volume['size'] ** 3:,} voxels, all within "
            f"{volume['distance']:.2f} voxels of it."
        ),
        Heading("Inputs of any size through one network", 3),
        Paragraph(
            "The same weights apply to inputs of every size; after pooling over all positions the "
            "outputs have one size."
        ),
        Table(
            ["input", "after a 3 x 3 convolution, stride 2", "after pooling over all positions"],
            [
                [_size(each["input"]), _size(each["map"]), _size(each["pooled"])]
                for each in numbers["sizes"]
            ],
        ),
    ]


def _audio() -> dict[str, Any]:
    rate, seconds, low, high = 4000, 1.0, 100.0, 900.0
    time = np.arange(int(rate * seconds)) / rate
    chirp = np.cos(2 * np.pi * (low * time + (high - low) / (2 * seconds) * time**2))
    tuned, kernel_size = [300.0, 700.0], 161
    pairs = [
        ops.gabor_kernel(
            (1, kernel_size), beta_x=1 / 900, frequency=2 * np.pi * frequency / rate, phase=phase
        )[0]
        for frequency in tuned
        for phase in (0, np.pi / 2)
    ]
    kernel = jnp.asarray(np.stack(pairs, -1)[:, None])
    responses = ops.conv(jnp.asarray(chirp, jnp.float32)[:, None], kernel)
    magnitude = np.asarray(jnp.hypot(responses[:, ::2], responses[:, 1::2]))
    every = 20
    return {
        "low": low,
        "high": high,
        "kernel_size": kernel_size,
        "tuned": tuned,
        "peaks": time[magnitude.argmax(0)],
        "expected": [(each - low) / (high - low) * seconds for each in tuned],
        "time": time[::every],
        "magnitude": magnitude[::every].T,
    }


def _skeleton() -> dict[str, Any]:
    frames, joints, moved = 60, 15, 7
    noise = np.random.default_rng(0)
    x = np.cumsum(noise.normal(0, 0.01, (frames, joints, 3)), 0)
    x[:, moved] += 0.1 * np.arange(frames)[:, None]
    channels = 3 * joints
    kernel = jnp.tile(jnp.array([-1.0, 1.0])[:, None, None], channels)
    velocity = ops.conv(
        jnp.asarray(x.reshape(frames, channels), jnp.float32),
        kernel,
        padding="VALID",
        feature_group_count=channels,
    )
    speed = jnp.linalg.norm(velocity.reshape(frames - 1, joints, 3), axis=-1).mean(0)
    return {
        "frames": frames,
        "channels": channels,
        "moved": moved,
        "fastest": int(speed.argmax()),
    }


def _video() -> dict[str, Any]:
    frames, size, speed = 8, 24, 1
    noise = np.random.default_rng(0)
    x = noise.normal(0, 0.1, (frames, size, size, 3))
    for frame in range(frames):
        x[frame, 12, 4 + speed * frame] += 1
    speeds = [-1, 0, 1]
    kernel = np.zeros((3, 3, 3, 3, len(speeds)), np.float32)
    for number, each in enumerate(speeds):
        for frame in (-1, 0, 1):
            kernel[1 + frame, 1, 1 + each * frame, :, number] = 1
    responses = ops.conv(jnp.asarray(x, jnp.float32), jnp.asarray(kernel), padding="VALID")
    strongest = speeds[int(responses.max((0, 1, 2)).argmax())]
    return {"speed": speed, "strongest": strongest, "speeds": speeds}


def _volume() -> dict[str, Any]:
    size, radius = 24, 7.0
    grid = np.indices((size,) * 3) - (size - 1) / 2
    distance = np.sqrt((grid**2).sum(0))
    ball = (distance <= radius).astype(np.float32)
    kernel = np.zeros((3, 3, 3), np.float32)
    for axis in range(3):
        middle = tuple(slice(None) if i == axis else 1 for i in range(3))
        kernel[middle] += [1, -2, 1]
    responses = ops.conv(jnp.asarray(ball)[..., None], jnp.asarray(kernel)[..., None, None])
    edges = np.asarray(responses)[..., 0] != 0
    return {
        "size": size,
        "radius": radius,
        "responding": int(edges.sum()),
        "distance": float(np.abs(distance - radius)[edges].max()),
    }


def _sizes() -> list[dict[str, Any]]:
    kernel = jnp.ones((3, 3, 3, 8))
    rows = []
    for height, width in ((32, 32), (48, 20), (17, 65)):
        z = ops.conv(jnp.ones((1, height, width, 3)), kernel, strides=2)
        rows.append(
            {
                "input": (height, width, 3),
                "map": z.shape[1:],
                "pooled": ops.global_average_pool(z).shape[1:],
            }
        )
    return rows


@styled
def _audio_figure(audio: Numbers) -> Canvas:
    canvas = Canvas(figsize=(DOUBLE_COLUMN, 1.8))
    axes = canvas.subplots()
    for magnitude, tuned, color in zip(
        audio["magnitude"], audio["tuned"], (BLUE, VERMILLION), strict=True
    ):
        axes.plot(audio["time"], magnitude, color=color, label=f"tuned to {tuned:.0f} Hz")
    axes.set_xlabel("time (s)")
    axes.set_ylabel("magnitude")
    axes.legend(loc="upper right")
    return canvas


def _list(values) -> str:
    return ", ".join(map(str, values))


def _size(shape) -> str:
    return " x ".join(map(str, shape))
