"""One device, four devices, and other ways to lift the same step: the same numbers."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from cnnjax.train import step as step_module
from cnnjax.train.config import TrainConfig
from cnnjax.train.optimizer import optimizer
from cnnjax.train.parallel import parallel_step, replicate, shard
from cnnjax.train.state import AUGMENTATION, create_state, example_keys, step_key
from cnnjax.train.step import train_step

# Plain gradient descent: Adam would hide a gradient that is too large by a factor.
CONFIG = TrainConfig(
    batch_size=16, optimizer="sgd", learning_rate=0.2, schedule="constant", label_smoothing=0.1
)
STEPS = 3


class Network(linen.Module):
    """Convolution, BatchNorm, dense."""

    axis_name: str | None = "batch"

    @linen.compact
    def __call__(self, image, train: bool = False):
        x = linen.Conv(4, (3, 3), use_bias=False)(image)
        x = linen.BatchNorm(use_running_average=not train, axis_name=self.axis_name)(x)
        return linen.Dense(3)(linen.relu(x).reshape(len(x), -1))


def source():
    random = np.random.default_rng(0)
    return {
        "images": random.integers(0, 256, (40, 6, 6, 1), dtype=np.uint8),
        "labels": random.integers(0, 3, 40).astype(np.int32),
        "shifts": 4,
    }


def prepare(source, batch, state, keys=None):
    """Images of the batch, each shifted by a random amount of its own."""
    if keys is None:
        keys = example_keys(state, AUGMENTATION, batch["position"])
    shifts = jax.vmap(lambda key: jax.random.randint(key, (), 0, source["shifts"]))(keys)
    image = source["images"][batch["index"]].astype(jnp.float32) / 255
    image = jax.vmap(lambda one, shift: jnp.roll(one, shift, axis=1))(image, shifts)
    return {**batch, "image": image, "label": source["labels"][batch["index"]]}


def prepare_by_place_on_the_device(source, batch, state):
    keys = jax.random.split(step_key(state, AUGMENTATION), len(batch["position"]))
    return prepare(source, batch, state, keys)


def batch(step):
    random = np.random.default_rng(step)
    return {
        "index": random.integers(0, 40, 16).astype(np.int32),
        "position": np.arange(16, dtype=np.int32),
    }


def step_of(model):
    transformation = optimizer(CONFIG)

    def step(state, given):
        return train_step(state, given, model=model, optimizer=transformation, config=CONFIG)

    return step


def start(model):
    return create_state(model, optimizer(CONFIG), 3, jnp.zeros((1, 6, 6, 1)))


def run(lifted, model=None):
    """Parameters, statistics and metrics after STEPS steps of a lifted step."""
    model = model or Network()
    state = start(model)
    for number in range(STEPS):
        given = batch(number)
        state, metrics = lifted(state, replicate(source()), given)
    return jax.device_get((state.params, state.batch_stats, metrics))


def by_pmap(devices, model=None, prepared=prepare):
    model = model or Network()
    some = jax.devices()[:devices]
    lifted = parallel_step(step_of(model), prepared, some)

    def call(state, held, given):
        return lifted(replicate(state, some), replicate(held, some), shard(given, some))

    return run(call, model)


def by_vmap(devices):
    def prepared(state, held, given):
        return step_of(Network())(state, prepare(held, given, state))

    lifted = jax.jit(jax.vmap(prepared, in_axes=(None, None, 0), out_axes=None, axis_name="batch"))
    return run(lambda s, h, b: lifted(s, h, shard(b, jax.devices()[:devices])))


def by_shard_map(devices, check_vma=False):
    def prepared(state, held, given):
        return step_of(Network())(state, prepare(held, given, state))

    lifted = jax.jit(
        jax.shard_map(
            prepared,
            mesh=Mesh(np.array(jax.devices()[:devices]), ("batch",)),
            in_specs=(PartitionSpec(), PartitionSpec(), PartitionSpec("batch")),
            out_specs=PartitionSpec(),
            check_vma=check_vma,
        )
    )
    return run(lifted)


def largest_difference(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return max(float(np.max(np.abs(x - y))) for x, y in pairs)


def assert_same(a, b):
    # Sums of 16 examples in another order: a few units in the last of 24 bits.
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-5, atol=5e-6), a, b)


@pytest.fixture(scope="module")
def one_device():
    return by_pmap(1)


@pytest.mark.fast
def test_four_devices_give_what_one_gives(one_device):
    assert len(jax.devices()) == 4
    moved = largest_difference(one_device[0], jax.device_get(start(Network()).params))
    assert moved > 0.05
    assert_same(by_pmap(4), one_device)
    assert_same(by_pmap(2), one_device)


def test_vmap_and_shard_map_give_what_pmap_gives(one_device):
    assert_same(by_vmap(4), one_device)
    assert_same(by_shard_map(4), one_device)


def test_control_without_the_mean_over_devices_the_numbers_differ(one_device, monkeypatch):
    broken = types.SimpleNamespace(pmean=lambda tree, _: tree, psum=lax.psum)
    monkeypatch.setattr(step_module, "lax", broken)
    assert largest_difference(by_pmap(4), one_device) > 1e-3


def test_control_shard_map_with_replication_checks_sums_the_gradient_twice():
    """Why a move to shard_map must set check_vma=False or take the mean of the loss instead."""
    checked, unchecked = by_shard_map(4, check_vma=True), by_shard_map(4)
    assert largest_difference(checked, unchecked) > 1e-3


def test_control_batch_norm_of_each_device_by_itself_differs():
    model = Network(axis_name=None)
    assert largest_difference(by_pmap(4, model), by_pmap(1, model)) > 1e-3


def test_control_randomness_by_place_on_the_device_differs():
    prepared = prepare_by_place_on_the_device
    assert largest_difference(by_pmap(4, None, prepared), by_pmap(1, None, prepared)) > 1e-3


def test_shard_deals_out_in_order_and_refuses_what_does_not_divide():
    dealt = shard({"x": np.arange(16).reshape(8, 2)}, jax.devices())
    assert dealt["x"].tolist() == np.arange(16).reshape(4, 2, 2).tolist()
    with pytest.raises(
        ValueError, match=r"`batch` must have a positive multiple of 4 examples, .* got 7"
    ):
        shard({"x": np.arange(7)})
    with pytest.raises(ValueError, match=r"`batch` must have .* got 0"):
        shard({"x": np.arange(0)})
    with pytest.raises(ValueError, match=r"one length, got {'x': 8, 'y': 4}"):
        shard({"x": np.arange(8), "y": np.arange(4)})


def test_replicate_places_everywhere_and_copies_on_request():
    tree = replicate({"a": 3, "b": np.arange(3, dtype=np.int64), "c": 0.5, "d": None})
    assert tree["d"] is None
    assert [x.dtype.name for x in jax.tree.leaves(tree)] == ["int32", "int32", "float32"]
    assert not any(x.weak_type for x in jax.tree.leaves(tree))
    assert all(x.is_fully_replicated for x in jax.tree.leaves(tree))
    assert tree["a"].sharding.device_set == set(jax.devices())
    copy = replicate(tree, copy=True)
    tree["b"].delete()
    assert copy["b"].tolist() == [0, 1, 2]
    # The same on one device, where placing alone would need no copy.
    single = replicate(copy, jax.devices()[:1])
    again = replicate(single, jax.devices()[:1], copy=True)
    single["b"].delete()
    assert again["b"].tolist() == [0, 1, 2]
