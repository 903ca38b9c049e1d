"""The auditor names what was built into hand-made networks to break each symmetry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from cnnjax.layers import AdaptivePolyphase, Conv, GroupConv, GroupPool, LiftingConv, TiledConv
from cnnjax.symmetry.audit import audit, generic, initialise, noise, over_sizes, response
from cnnjax.symmetry.responses import ROTATIONS_AND_FLIPS, divisors, responses, transformations


def audited(model, size=8, channels=2, **arguments):
    x = noise((1, size, size, channels))
    return audit(model, generic(initialise(model, x)), x, **arguments)


def lost(found):
    """Where each transformation is lost first, shifts of both axes."""
    return {name: at and at.path for name, at in found.breaks.items()}


class Strided(nn.Module):
    """Circular convolutions; the second strides."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(3, (3, 3), padding="CIRCULAR", name="first")(x))
        x = nn.relu(nn.Conv(3, (3, 3), strides=2, padding="CIRCULAR", name="second")(x))
        return nn.Dense(4, name="classifier")(x.mean((1, 2)))


@pytest.mark.fast
def test_a_stride_is_named_and_what_is_kept_after_it():
    found = audited(Strided())
    assert found.network.lattice == (2, 2)
    assert [stage.path for stage in found.stages] == ["first", "second", "classifier", ""]
    assert [stage.response.lattice for stage in found.stages] == [(1, 1), (2, 2), (2, 2), (2, 2)]
    at = found.breaks["shift down by 1"]
    assert (at.path, at.module, at.functions) == ("second", "Conv", False)
    assert at.attributes == {"kernel_size": (3, 3), "strides": 2, "padding": "CIRCULAR"}
    assert lost(found)["shift right by 2"] is None
    assert {lost(found)[name] for name in ROTATIONS_AND_FLIPS} == {"first"}
    assert found.stages[1].input_shape == (1, 8, 8, 3)
    assert found.stages[1].output_shape == (1, 4, 4, 3)


class Signs(nn.Module):
    """Few values, so that many outputs are alike by chance."""

    @nn.compact
    def __call__(self, x):
        return jnp.sign(nn.Dense(10, name="dense")(x.reshape(len(x), -1)))


@pytest.mark.fast
def test_outputs_that_are_alike_are_no_new_order():
    """A dense layer keeps no shift; of ten signs after it some flip, and others look like them."""
    for seed in range(3):
        x = noise((2, 8, 8, 1), seed)
        found = audit(Signs(), generic(initialise(Signs(), x, seed), seed), x)
        assert found.network.lattice == (8, 8)
        assert found.breaks["shift down by 1"].path == "dense"


class Tokens(nn.Module):
    """Patches as tokens, which attend to one another."""

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(8, (2, 2), strides=2, padding="VALID", name="patch")(x)
        x = x.reshape(len(x), -1, 8)
        x = nn.MultiHeadDotProductAttention(4, name="attention")(x)
        return nn.Dense(3, name="head")(x.mean(1))


@pytest.mark.fast
def test_heads_of_attention_are_no_image():
    """16 tokens of 4 heads are `[batch, 16, 4, 2]`: as long as an image, and none."""
    found = audited(Tokens())
    inside = [stage for stage in found.stages if stage.path.startswith("attention")]
    assert len(inside) == 5
    assert all(stage.alone is None for stage in inside)
    # Tokens change places with the patches, so that shifts by a patch are kept throughout.
    assert found.network.lattice == (2, 2)
    assert found.breaks["shift down by 1"].path == "patch"


@pytest.mark.fast
def test_padding_is_named_and_a_convolution_that_reads_no_border_is_not():
    class Padded(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.relu(nn.Conv(3, (1, 1), name="pixelwise")(x))
            return nn.Conv(3, (3, 3), padding="SAME", name="zeros")(x)

    found = audited(Padded())
    assert set(lost(found).values()) == {"zeros"}
    pixelwise = found.stages[0].alone
    assert pixelwise.lattice == (1, 1)
    assert all(pixelwise.keeps(name) for name in ROTATIONS_AND_FLIPS)


class Pooled(nn.Module):
    """A strided maximum, and flattened pixels: functions between the submodules."""

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(3, (3, 3), padding="CIRCULAR", name="conv")(x)
        x = nn.max_pool(nn.relu(x), (2, 2), strides=(2, 2))
        x = nn.Conv(3, (3, 3), padding="CIRCULAR", name="after")(x)
        return nn.Dense(4, name="classifier")(x.reshape(len(x), -1))


@pytest.mark.fast
def test_functions_between_submodules_are_told_from_the_submodules():
    found = audited(Pooled())
    at = found.breaks["shift right by 1"]
    assert (at.path, at.module, at.functions) == ("", "Pooled", True)
    assert at.between == ("conv", "after")
    # Flattening only puts the numbers in another order; the dense layer then mixes them.
    assert found.breaks["shift right by 2"].path == "classifier"
    assert found.network.lattice == (8, 8)
    assert found.stages[1].alone.lattice == (1, 1)
    assert found.stages[2].alone is None


class PositionFirst(nn.Module):
    """A function that no transformation survives, before the first submodule."""

    @nn.compact
    def __call__(self, x):
        position = jnp.arange(x.size, dtype=x.dtype).reshape(x.shape)
        return nn.Conv(3, (1, 1), name="inner")(x + position)


class FunctionInNested(nn.Module):
    """A pixelwise convolution, then a block that begins with a function."""

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(3, (1, 1), name="first")(x)
        return PositionFirst(name="block")(x)


def test_a_function_before_a_nested_first_submodule_has_nothing_of_its_module_before_it():
    """The submodule called last before it, `first`, belongs to another module."""
    found = audited(FunctionInNested())
    for at in found.breaks.values():
        assert (at.path, at.module, at.functions) == ("block", "PositionFirst", True)
        assert at.between == ("", "block/inner")


@pytest.mark.fast
def test_a_break_after_the_last_submodule_and_inside_a_block():
    class Block(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Conv(2, (1, 1), name="inner")(x)[:, ::2, ::2]

    class Network(nn.Module):
        @nn.compact
        def __call__(self, x):
            return Block(name="block")(x)

    at = audited(Network()).breaks["shift down by 1"]
    assert (at.path, at.module, at.functions, at.between) == (
        "block",
        "Block",
        True,
        ("block/inner", ""),
    )


class Turning(nn.Module):
    """A group network whose two strides are exact at sizes 4 k + 1 only."""

    group: int = 4

    @nn.compact
    def __call__(self, x, *, train: bool):
        x = nn.relu(LiftingConv(3, 3, group=self.group, name="lift")(x))
        x = nn.BatchNorm(use_running_average=not train, name="norm")(x)
        x = nn.relu(GroupConv(3, 3, strides=2, name="one")(x))
        x = nn.relu(GroupConv(3, 3, strides=2, name="two")(x))
        return GroupPool(name="pool")(x).mean((1, 2))


def test_turns_that_put_channels_in_another_order_are_kept():
    found = audited(Turning(group=8), size=9)
    assert all(found.network.keeps(name) for name in ROTATIONS_AND_FLIPS)
    assert found.network.reordered == frozenset()
    assert found.stages[0].response.reordered == set(ROTATIONS_AND_FLIPS)
    assert {lost(found)[name] for name in ROTATIONS_AND_FLIPS} == {None}


def test_the_stride_that_breaks_turns_is_named_and_what_follows_is_not_blamed():
    found = audited(Turning(), size=11)  # 11 -> 6 -> 3: the second stride is at fault
    stages = {stage.path: stage for stage in found.stages}
    assert found.breaks["90-degree rotation"].path == "two"
    assert found.breaks["left-right flip"].path == "lift"
    found = audited(Turning(), size=8)
    assert found.breaks["90-degree rotation"].path == "one"
    stages = {stage.path: stage for stage in found.stages}
    assert not stages["one"].alone.keeps("90-degree rotation")
    assert stages["pool"].alone.keeps("90-degree rotation")


def test_regular_features_turn_with_their_group_also_above_a_break():
    class Shifted(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.relu(LiftingConv(2, 3, group=8, name="lift")(x[:, ::2, ::2]))
            return GroupConv(2, 3, name="group")(x)

    found = audited(Shifted())
    assert found.breaks["90-degree rotation"].functions
    group = found.stages[1].alone
    assert all(group.keeps(name) for name in ROTATIONS_AND_FLIPS)


def test_sizes_of_exact_turns_are_4k_plus_1():
    model = Turning()
    variables = generic(initialise(model, noise((1, 9, 9, 1))))
    found = over_sizes(model, variables, range(5, 15), 1, trained=True)
    assert [size for size in found if found[size].keeps("90-degree rotation")] == [5, 9, 13]


@pytest.mark.fast
def test_sizes_that_do_not_fit_say_why_and_new_weights_are_drawn_where_they_may():
    model = Pooled()
    variables = generic(initialise(model, noise((1, 4, 4, 1))))
    trained = over_sizes(model, variables, [4, 6], 1, trained=True)
    assert trained[4].lattice == (4, 4)
    assert "shape" in trained[6]
    assert over_sizes(model, variables, [6], 1, trained=False)[6].lattice == (6, 6)

    class Divided(nn.Module):
        @nn.compact
        def __call__(self, x):
            return AdaptivePolyphase()(x).mean((1, 2))

    found = over_sizes(Divided(), {}, [4, 5], 1, trained=False)
    assert found[4].lattice == (1, 1)
    assert "must divide the sizes of x" in found[5]


@pytest.mark.fast
def test_tiles_show_in_the_lattice_though_their_biases_begin_equal():
    model = TiledConv(2, 1, tile=4, kernel_init=nn.initializers.ones)
    x = noise((1, 8, 8, 1))
    variables = initialise(model, x)
    assert audit(model, variables, x).network.lattice == (1, 1)
    assert audit(model, generic(variables), x).network.lattice == (4, 4)


@pytest.mark.fast
def test_the_network_by_itself_agrees_with_its_last_stage():
    x = noise((2, 8, 8, 2))
    variables = generic(initialise(Strided(), x))
    whole = response(Strided(), variables, x)
    observed = audit(Strided(), variables, x).network
    assert whole.lattice == observed.lattice
    for name, error in observed.errors.items():
        assert whole.errors[name] == pytest.approx(error, abs=1e-5)


@pytest.mark.fast
def test_errors_are_relative_norms():
    x = noise((1, 4, 4, 1))

    def run(x):
        return [[x * np.arange(4.0).reshape(1, 1, 4, 1)]]

    acts = transformations((4, 4))
    (found,) = responses(run, x, lambda name: acts[name](x), (4, 4), 1, 1e-5)
    columns = np.float64(x[0, :, :, 0])
    difference = np.roll(columns, 1, 1) * np.arange(4) - np.roll(columns * np.arange(4), 1, 1)
    expected = np.linalg.norm(difference) / np.linalg.norm(columns * np.arange(4))
    assert found.errors["shift right by 1"] == pytest.approx(expected)
    assert found.errors["shift down by 1"] == 0
    assert found.errors["up-down flip"] == 0
    assert found.lattice == (1, 4)
    assert divisors(12) == [1, 2, 3, 4, 6]


@pytest.mark.fast
def test_wrong_input_is_one_sentence():
    with pytest.raises(ValueError, match=r"got shape \(8, 8, 1\)"):
        audit(Strided(), {}, jnp.ones((8, 8, 1)))

    class Infinite(nn.Module):
        def __call__(self, x):
            return x / 0

    with pytest.raises(ValueError, match="not finite"):
        audit(Infinite(), {}, noise((1, 4, 4, 1)))

    class Silent(nn.Module):
        def __call__(self, x):
            return jnp.zeros(())

    with pytest.raises(ValueError, match="Silent returns no array of numbers"):
        audit(Silent(), {}, noise((1, 4, 4, 1)))
    with pytest.raises(ValueError, match="Silent returns no array of numbers"):
        response(Silent(), {}, noise((1, 4, 4, 1)))


def test_a_network_of_another_library_with_dropout_and_several_inputs():
    class Attention(nn.Module):
        @nn.compact
        def __call__(self, x, deterministic):
            gate = nn.Conv(1, (1, 1), name="gate")(x)
            x = Scale(name="scale")(x, by=gate)
            x = nn.Dropout(0.5)(x, deterministic=deterministic)
            return Conv(2, 3, padding="CIRCULAR", name="conv")(x)

    class Scale(nn.Module):
        def __call__(self, x, by):
            return x * jax.nn.sigmoid(by)

    found = audited(Attention())
    assert found.network.lattice == (1, 1)
    stages = {stage.path: stage for stage in found.stages}
    assert stages["scale"].alone.lattice == (1, 1)
    assert all(stages["scale"].alone.keeps(name) for name in ROTATIONS_AND_FLIPS)


def test_adaptive_downsampling_keeps_every_shift_and_a_stride_does_not():
    class Adaptive(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.relu(Conv(3, 3, padding="CIRCULAR", name="conv")(x))
            return AdaptivePolyphase(name="adaptive")(x)

    found = audited(Adaptive(), size=8)
    assert found.network.lattice == (1, 1)
    assert found.stages[1].alone.lattice == (1, 1)
    assert "shift down by 1" in found.network.reordered
    assert "shift down by 2" not in found.network.reordered
