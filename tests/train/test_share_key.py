"""A device's share of a batch draws its part of what one device would draw for the whole batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from cnnjax.layers import LearnablePolyphase, StochasticPool
from cnnjax.train.config import TrainConfig
from cnnjax.train.share_key import share_key
from cnnjax.train.training import compile_training

DRAWS = {
    "bernoulli": lambda key, shape: jax.random.bernoulli(key, 0.3, shape),
    "normal": jax.random.normal,
    "gumbel": jax.random.gumbel,
    "bytes": lambda key, shape: jax.random.bits(key, shape, jnp.uint8),
}


@pytest.mark.fast
@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
@pytest.mark.parametrize("shares", [1, 2, 4])
def test_shares_put_together_are_the_draw_of_the_whole_batch(draw, shares):
    key = jax.random.key(3)
    part = jax.jit(lambda share: draw(share_key(key, share), (8 // shares, 3, 2)))
    parts = [part(share) for share in range(shares)]
    np.testing.assert_array_equal(np.concatenate(parts), draw(key, (8, 3, 2)))


@pytest.mark.fast
def test_keys_are_folded_and_split_as_those_of_the_batch():
    key = jax.random.key(5)
    ours, whole = share_key(key, 1), key
    for derive in (lambda k: jax.random.fold_in(k, 7), lambda k: jax.random.split(k)[1]):
        ours, whole = derive(ours), derive(whole)
        np.testing.assert_array_equal(
            jax.random.normal(ours, (2, 3)), jax.random.normal(whole, (4, 3))[2:]
        )


@pytest.mark.fast
@pytest.mark.parametrize("share", [1, 3, 65_535])
def test_far_into_the_stream_no_numbers_come_twice(share):
    """Share 65,535 of 2**17 entries begins behind 2**32: counters of 32 bits would begin anew."""
    key = jax.random.key(0)
    size = 2**17
    bits = jax.jit(lambda share: jax.random.bits(share_key(key, share), (size,)))
    # By hand: block number n begins at counter n * size, whose words threefry encrypts.
    high, low = divmod(share * size + 5, 2**32)
    words = jax.random.key_data(key)
    first, second = jax.extend.random.threefry2x32_p.bind(
        words[0], words[1], jnp.uint32(high), jnp.uint32(low)
    )
    assert int(bits(share)[5]) == int(first ^ second)


class Noisy(linen.Module):
    """A convolution, everything of ours that draws random numbers in training, and a readout."""

    @linen.compact
    def __call__(self, image, train: bool = False):
        x = linen.relu(linen.Conv(4, (3, 3))(image))
        x = StochasticPool(2, name="stochastic")(x, train)
        x = LearnablePolyphase(name="polyphase")(x, train=train)
        x = linen.Dropout(0.5, deterministic=not train)(x)
        return linen.Dense(3)(x.reshape(len(x), -1))


def losses(devices):
    """Of three steps."""
    random = np.random.default_rng(0)
    batch = {
        "image": random.normal(size=(8, 9, 9, 1)).astype(np.float32),
        "label": (np.arange(8) % 3).astype(np.int32),
        "position": np.arange(8, dtype=np.int32),
    }
    # Plain gradient descent: Adam would make much of rounding.
    config = TrainConfig(batch_size=8, optimizer="sgd", learning_rate=0.1)
    training = compile_training(Noisy(), config, devices=jax.devices()[:devices])
    state = training.init(0, batch["image"])
    shares = {
        name: each.reshape(devices, 8 // devices, *each.shape[1:]) for name, each in batch.items()
    }
    found = []
    for _ in range(3):
        state, metrics = training.train_step(state, None, shares)
        found.append(float(metrics["loss"]) / 8)
    return found


def test_training_draws_the_same_on_any_number_of_devices():
    one = losses(1)
    assert len(set(one)) == 3
    # Sums of eight examples in another order.
    assert losses(2) == pytest.approx(one, rel=1e-5)
    assert losses(4) == pytest.approx(one, rel=1e-5)


def test_control_with_one_key_for_all_devices_the_losses_differ(monkeypatch):
    monkeypatch.setattr("cnnjax.train.step.share_key", lambda key, share: key)
    assert losses(4) != pytest.approx(losses(1), rel=1e-2)
