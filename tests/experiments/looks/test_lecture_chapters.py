"""Chapters of the lectures on sizes, sound, text, training and spectral bias: numbers by hand."""

import wave

import numpy as np
import pytest

import launch
from cnnjax import tasks
from cnnjax.models import ConvPoolDense
from experiments.lectures import networks, sizes, sound, spectral_bias, text, training


def test_what_strided_units_see_and_how_networks_shrink():
    found = sizes.numbers()
    assert found["sees"] == [["x1", "x2"], ["x2", "x3", "x4"], ["x4", "x5"]]
    assert found["dense"].sum(1).tolist() == [2, 3, 3, 3, 2]
    assert found["sizes"] == {"VALID": [16, 11, 6, 1], "SAME": [16, 16, 16, 16]}
    assert [each.shape for each in found["deep"]["VALID"]] == [(11, 16), (6, 11), (1, 6)]
    for image in found["images"]:
        stride = image["stride"]
        starts = range(0, 16 - 3 + 1, stride)
        reads = np.zeros((16, 16), int)
        for row in starts:
            for column in starts:
                reads[row : row + 3, column : column + 3] += 1
        np.testing.assert_array_equal(image["reads"], reads)
        assert (image["size"], image["exact"]) == (len(starts), 13 / stride + 1)
        assert image["read"] == (reads > 0).mean()
        assert image["kept"] == len(starts) ** 2 / 14**2
    assert [image["size"] for image in found["images"]] == [14, 7, 5, 4]


def test_a_dry_sound_gets_the_reverberation_of_the_room(tmp_path):
    directory = tmp_path / "run"
    assert launch.main(["lectures", "--chapters", "sound", "--workdir", str(directory)]) == 0
    sounds = {}
    for name in ("dry", "wet"):
        with wave.open(str(directory / f"sound_{name}.wav")) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
            sounds[name] = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32767
    assert len(sounds["dry"]) == 7200
    # The room after a clap, by its formula: noise that decays by 60 dB, a thousand, in 0.8 s.
    time = np.arange(6400) / 8000
    room = 0.1 * np.random.default_rng(0).normal(size=6400) * 10 ** (-3 * time / 0.8)
    room[0] = 1
    expected = np.convolve(sounds["dry"], room)
    # Both are rounded to 16 bits.
    np.testing.assert_allclose(sounds["wet"], expected / np.abs(expected).max(), atol=2e-3)
    found = sound.numbers()
    assert found["difference"] < 1e-5
    assert found["measured_decay"] == pytest.approx(0.8, abs=0.05)
    assert found["multiply_adds"] == 7200 * 6400


def test_a_network_of_characters_tells_which_way_a_text_reads():
    found = text.numbers()
    assert found["accuracy"] > 0.93
    first, second, *mirrored = (each["text"] for each in found["examples"])
    assert [first[::-1], second[::-1]] == mirrored
    assert [each["label"] for each in found["examples"]] == [0, 0, 1, 1]
    assert {len(each) for each in (first, second)} == {text.LENGTH}
    for grams in found["grams"]:
        assert len(grams) == 6
        assert {len(gram) for gram in grams} == {text.KERNEL_SIZE}
    assert found["embedding_difference"] == 0


def test_total_loss_learning_rate_and_averages_by_hand():
    found = training.numbers()
    curves = found["curves"]
    network = tasks.resized("digits", size=16).network(ConvPoolDense(10), training.CONFIG)
    kernel = np.float64(network.initial(0).params["classifier"]["kernel"])
    terms = np.subtract(curves["total_loss"]["values"], curves["loss"]["values"])
    assert terms[0] == pytest.approx(0.05 / 2 * (kernel**2).sum(), rel=1e-4)
    assert (terms > 0).all()
    assert curves["loss"]["values"][-1] < curves["loss"]["values"][0] / 2
    stairs = np.repeat([0.03, 0.015, 0.0075], 20)
    np.testing.assert_allclose(curves["learning_rate"]["values"], stairs, rtol=1e-6)

    values, averages = found["averages"]["values"], found["averages"]["averages"]
    ramped = values[0]
    for n, value in enumerate(values[1:], start=1):
        decay = min(0.99, (1 + n) / (10 + n))
        ramped = decay * ramped + (1 - decay) * value
        assert averages["ramped"][n] == pytest.approx(ramped, abs=1e-5)
    weights = 0.99 ** np.arange(200)[::-1]
    assert averages["debiased"][-1] == pytest.approx(np.average(values[1:], weights=weights), 1e-4)
    one, two, four = found["shares"]["losses"]
    assert two == pytest.approx(one, rel=1e-5)
    assert four == pytest.approx(one, rel=1e-5)
    assert training.blocks(found)


def test_a_dense_network_learns_low_frequencies_first(monkeypatch):
    monkeypatch.setattr(spectral_bias, "SEEDS", 1)
    found = spectral_bias.numbers()
    halves = {name: np.array(half, float) for name, half in found["half"].items()}
    dense, noise, coarse = halves.values()
    assert (np.diff(dense, axis=1) > 0).all()
    assert (dense[:, -1] > 5 * dense[:, 0]).all()
    assert (coarse[:, -1] > 2 * coarse[:, 0]).all()
    assert (noise[:, -1] < 3 * noise[:, 0]).all()
    for shares in found["learned"].values():
        np.testing.assert_allclose(shares[0], 0, atol=0.2)
        np.testing.assert_allclose(shares[-1, :3], 1, atol=0.1)
    assert spectral_bias.blocks(found)


def test_small_networks_are_listed_layer_by_layer(monkeypatch):
    monkeypatch.setattr(networks, "NETWORKS", ("ConvPoolDense", "LeCun1989", "AlexNet"))
    found = networks.numbers()
    totals = {row["network"]: row for row in found["rows"]}
    assert totals["AlexNet"]["units"] == 659_272
    assert totals["AlexNet"]["parameters"] == 60_965_224
    assert totals["LeCun1989"]["connections"] == 64_660
    convolution, pooling, dense = found["listed"]["ConvPoolDense"]
    assert convolution["output"] == (32, 32, 12)
    assert pooling["output"] == (16, 16, 12)
    assert (dense["output"], dense["parameters"]) == ((10,), 30_730)
    said = " ".join(str(getattr(block, "text", "")) for block in networks.blocks(found))
    assert "256 inputs and 1,000 units are 1,256, with 64,660 connections and 9,760" in said
