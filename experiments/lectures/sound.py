"""Convolution that is heard: a room's impulse response gives a dry signal the room's reverberation."""

import io
import wave
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure as Canvas

from cnnjax import ops
from cnnjax.report import (
    BLUE,
    DOUBLE_COLUMN,
    GREEN,
    VERMILLION,
    Block,
    Figure,
    Paragraph,
    format_count,
    format_number,
    styled,
)

TITLE = "Sound: convolution with an impulse response"

Numbers = Mapping[str, Any]

RATE = 8000
"""Samples a second."""
DECAY = 0.8
"""Seconds in which the sound of the made room decays by 60 dB."""
NOTES = (392.0, 493.9, 587.3)
"""Frequencies of plucked notes, in Hz."""


def numbers() -> dict[str, Any]:
    """Dry sound, impulse response, and their convolution, each as 16-bit samples."""
    dry, response = _plucked(), _room()
    wet = np.asarray(
        ops.fft_conv(
            jnp.asarray(dry, jnp.float32)[None, :, None],
            jnp.asarray(response, jnp.float32)[:, None, None],
            padding="FULL",
            flip_kernel=True,
        )
    )[0, :, 0]
    return {
        "rate": RATE,
        "decay": DECAY,
        "measured_decay": _reverberation_time(response),
        "difference": np.abs(wet - np.convolve(dry, response)).max() / np.abs(wet).max(),
        "multiply_adds": len(dry) * len(response),
        "sounds": {
            name: _samples(sound)
            for name, sound in (("dry", dry), ("impulse response", response), ("wet", wet))
        },
    }


def blocks(numbers: Numbers) -> list[Block]:
    """The three signals."""
    return [
        Paragraph(
            "A clap in a room is heard again and again, ever weaker: that is the room's impulse "
            "response h. What a sound x becomes in the room is their convolution, z(t) = sum over "
            f"a of h(a) x(t - a). The room here is made, noise that decays by 60 dB in "
            f"{numbers['decay']:.1f} s (measured by backward integration: "
            f"{numbers['measured_decay']:.2f} s); the sound is {len(NOTES)} plucked notes at "
            f"{numbers['rate']:,} samples a second. A direct sum would take "
            f"{format_count(numbers['multiply_adds'], 2)} multiply-adds; the Fourier transform "
            "gives the same, but for "
            f"{format_number(numbers['difference'], 1)} of the largest sample."
        ),
        Figure(
            "reverberation",
            _figure(numbers),
            "A dry sound, an impulse response, and their convolution, which rings on. To be heard: "
            "sound_dry.wav and sound_wet.wav, beside this page.",
            "Three decaying waveforms.",
        ),
    ]


def files(numbers: Numbers) -> dict[str, bytes]:
    """Sounds to lie beside the page, as WAV files by name."""
    return {
        f"sound_{name}.wav": _wav(numbers["sounds"][name], numbers["rate"])
        for name in ("dry", "wet")
    }


def _plucked() -> np.ndarray:
    """Notes of harmonics, the higher the weaker and the sooner gone, one after the other."""
    seconds = 0.3
    time = np.arange(int(RATE * seconds)) / RATE
    notes = [
        sum(
            np.exp(-12 * harmonic * time) * np.sin(2 * np.pi * harmonic * note * time) / harmonic
            for harmonic in range(1, 5)
        )
        for note in NOTES
    ]
    return np.concatenate(notes)


def _room() -> np.ndarray:
    """The direct sound, then noise that decays by 60 dB, a factor of 1,000, in DECAY seconds."""
    time = np.arange(int(RATE * DECAY)) / RATE
    noise = np.random.default_rng(0).normal(size=time.size)
    response = 0.1 * noise * 1000 ** (-time / DECAY)
    response[0] = 1.0
    return response


def _reverberation_time(response: np.ndarray) -> float:
    """Seconds of a decay by 60 dB, from -5 to -25 dB of the energy that is still to come.

    Source: Schroeder, New method of measuring reverberation time, 1965.
    """
    tail = response[1:]
    left = np.cumsum(tail[::-1] ** 2)[::-1]
    decibels = 10 * np.log10(left / left[0])
    first, last = (int(np.argmax(decibels < level)) for level in (-5, -25))
    return 3 * (last - first) / RATE


def _samples(sound: np.ndarray) -> np.ndarray:
    return np.round(sound / np.abs(sound).max() * 32767).astype(np.int16)


def _wav(samples: Any, rate: int) -> bytes:
    """One channel of 16 bits."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.asarray(samples, "<i2").tobytes())
    return buffer.getvalue()


@styled
def _figure(numbers: Numbers) -> Canvas:
    canvas = Canvas(figsize=(DOUBLE_COLUMN, 3.0))
    panels = canvas.subplots(3, 1, sharex=True)
    sounds = numbers["sounds"].items()
    for axes, (name, samples), color in zip(panels, sounds, (BLUE, GREEN, VERMILLION), strict=True):
        values = np.asarray(samples) / 32767
        axes.plot(np.arange(len(values)) / numbers["rate"], values, color=color, linewidth=0.4)
        axes.set_title(name, loc="left", pad=2)
        axes.set_yticks([0])
        axes.set_ylim(-1.05, 1.05)
    panels[-1].set_xlabel("time (s)")
    return canvas
