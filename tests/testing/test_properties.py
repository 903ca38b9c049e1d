"""The checks of a variant: ours pass them, and each finds the layers that break it."""

import functools
import re
import subprocess
import sys

import flax.linen as nn
import jax
import pytest
from flax.linen.dtypes import promote_dtype

from cnnjax import testing
from cnnjax.layers import (
    VARIANTS,
    Conv,
    TiledConv,
)
from cnnjax.testing import Finding, Verdict, check_variant, variant_checks
from tests.testing.wrong_convolutions import (
    AcceptsNonsense,
    AlwaysFloat32,
    BiasOfPosition,
    Checkerboard,
    ClaimsAllWithoutPadding,
    ClaimsNotToBeLinear,
    ClaimsStridesUnderZeros,
    ClaimsTooMuch,
    CompilesAgain,
    Constant,
    DoubleVariance,
    DropsTheLast,
    HasMoreThanItClaims,
    IgnoresDilation,
    Isotropic,
    KeepsItsBias,
    LoudWhereItStrides,
    NanGradient,
    NotFinite,
    RaisesTypeError,
    Random,
    Rectified,
    RectifiedButClaimsLinear,
    ReverseOnly,
    RotatedCopies,
    RoundsToFloat32,
    SaysTooLittle,
    SeesItsBatch,
    StopsGradient,
    SwapsItsWindow,
    SwapsStrides,
    UnusedParameter,
    WrongDerivative,
    WrongInFloat32,
    WrongShape,
    WrongUnderZeros,
    WrongWhereItStrides,
    convolved,
)


def finding(constructor, name):
    """What one check finds."""
    (check,) = [check for check in variant_checks(constructor) if check.name == name]
    return check.finding()


@pytest.mark.parametrize("name", VARIANTS)
def test_our_variants_pass(name):
    verdict = check_variant(VARIANTS[name])
    assert all(each.passed for each in verdict.findings), verdict.text
    assert len(verdict.findings) == len(testing.PROPERTIES) == 12


@pytest.mark.parametrize("check", variant_checks(functools.partial(TiledConv, tile=4)), ids=str)
@pytest.mark.fast
def test_checks_are_parameters_of_a_test(check):
    check()


def test_a_symmetry_that_cannot_be_claimed_is_told_and_is_no_failure():
    measured = finding(Checkerboard, "symmetry")
    assert measured.passed, measured.found
    assert "2 x 2, and (1, 1), which no steps along the axes make" in measured.found


def test_only_the_broken_property_is_found():
    for broken, name in ((SeesItsBatch, "examples"), (LoudWhereItStrides, "initial variance")):
        verdict = check_variant(broken)
        failed = {each.name for each in verdict.findings if not each.passed}
        # Divided by the batch it is not affine, which it does not claim.
        assert failed == {name}, verdict.text


@pytest.mark.parametrize(
    ("broken", "name", "found"),
    [
        (SeesItsBatch, "examples", r"among others 4\.\de-01"),
        (NanGradient, "transforms", "forward against reverse nan"),
        (WrongInFloat32, "transforms", r"float32 against float64 1\.0e\+00"),
        (WrongWhereItStrides, "gradients", "with CIRCULAR strides 2"),
        (WrongUnderZeros, "gradients", "with SAME strides 1"),
        (DropsTheLast, "shapes", r"strides 2 x 1 on 7 x 5 gives shape \(2, 3, 5, 8\), not"),
        (SwapsStrides, "shapes", "strides 2 x 1 on 7 x 5 gives shape"),
        (SwapsItsWindow, "shapes", "VALID window 3 x 2 .* gives shape"),
        (IgnoresDilation, "shapes", "dilation 2 on 7 x 7 gives shape"),
        (LoudWhereItStrides, "initial variance", r"100.* \(strides 2\)"),
        (ClaimsAllWithoutPadding, "symmetry", "VALID strides 1 .* claims shifts by 1 x 1, but is"),
        (ClaimsStridesUnderZeros, "symmetry", "SAME strides 2 .* claims shifts by 2 x 2, but is"),
        (KeepsItsBias, "linear map", "use_bias=False takes no bias away"),
        (NotFinite, "examples", "not finite"),
        (NotFinite, "linear map", "not finite"),
        (nn.ConvLocal, "initial variance", r"^0\.0[23]"),
        (DoubleVariance, "initial variance", "^(1.9|2.0|2.1)"),
        (ClaimsTooMuch, "symmetry", "claims shifts by 1 x 1, but is off by"),
        (HasMoreThanItClaims, "symmetry", r"claims only shifts by 2 x 2, but has \(0, 1\) as well"),
        (BiasOfPosition, "symmetry", "claims shifts by 1, but is off by"),
        (StopsGradient, "gradients", r"off by at most 1.0e\+00 .*kernel"),
        (WrongDerivative, "gradients", r"off by at most 1\.0e-02"),
        (ReverseOnly, "transforms", "raised TypeError"),
        (UnusedParameter, "transforms", "no gradient at all for .*unused"),
        (AcceptsNonsense, "bad input", "features=0 is accepted"),
        (RaisesTypeError, "bad input", "features=0 raises TypeError"),
        (SaysTooLittle, "bad input", "features=0 raises ValueError without a sentence"),
        (RectifiedButClaimsLinear, "linear map", "not affine.* claims to be affine"),
        (ClaimsNotToBeLinear, "linear map", "^affine.* claims not to be"),
        (WrongShape, "shapes", r"CIRCULAR window 3 strides 1 on 8 gives shape \(2, 7, 8\), not"),
        (AlwaysFloat32, "dtypes", "gives float32"),
        (CompilesAgain, "compilation", "0 jitted, [1-9]"),
        (Random, "determinism", "one key gives two sets"),
        (Constant, "determinism", "two keys give the same"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_broken_is_found(broken, name, found):
    measured = finding(broken, name)
    assert not measured.passed
    assert re.search(found, measured.found), measured.found


@pytest.mark.parametrize(
    ("layer", "found"),
    [
        (Isotropic, "rotations by 90 degrees and reflections; claims rotations by 90 degrees and"),
        (RotatedCopies, "rotations by 90 degrees; off by .* and reflections; claims rotations by"),
        (functools.partial(RotatedCopies, slowest=False), "rotations by 90 degrees; off by"),
    ],
)
def test_rotations_that_are_claimed_are_measured(layer, found):
    measured = finding(layer, "rotations")
    assert measured.passed, measured.found
    assert re.match(found, measured.found), measured.found


@pytest.mark.parametrize(
    ("layer", "claim", "found"),
    [
        (Conv, 4, "^neither .*off by .* for rotations by 90 degrees; claims rotations by 90"),
        (RotatedCopies, 8, "claims rotations by 90 degrees and reflections"),
        (Isotropic, 4, "^rotations by 90 degrees and reflections; claims rotations by 90 degrees"),
        (Conv, "p4", "predicted_group must be one of 8, 4, 1, got 'p4'"),
    ],
)
def test_rotations_that_are_claimed_wrongly_are_found(layer, claim, found):
    measured = finding(type(layer.__name__, (layer,), {"predicted_group": claim}), "rotations")
    assert not measured.passed
    assert re.search(found, measured.found), measured.found


def test_values_in_float32_are_not_taken_for_a_wrong_derivative():
    measured = finding(RoundsToFloat32, "gradients")
    assert measured.passed
    assert "its values are rounded to float32" in measured.found


def test_what_is_not_claimed_is_reported():
    assert finding(Rectified, "linear map").passed
    assert "not affine" in finding(Rectified, "linear map").found
    unclaimed = finding(nn.Conv, "symmetry")
    assert unclaimed.passed
    assert "CIRCULAR strides 2 on 8 x 4: measured 2 x 2, no claim" in unclaimed.found


class Sows(Conv):
    """A loss term in float32 and a statistic that no gradient reaches, as users keep them."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        self.sow("losses", "smoothness", jax.numpy.zeros((), jax.numpy.float32))
        self.sow("intermediates", "input", x)
        (x,) = promote_dtype(x, dtype=self.dtype)
        calls = self.variable("batch_stats", "calls", lambda: jax.numpy.zeros(3))
        return convolved(self, x) + jax.lax.stop_gradient(calls.value.sum()).astype(x.dtype)


@pytest.mark.parametrize("name", ["transforms", "dtypes", "determinism"])
def test_what_a_layer_sows_or_keeps_is_no_parameter(name):
    measured = finding(Sows, name)
    assert measured.passed, measured.found
    subject = testing.Subject(Sows)
    _, variables, _ = subject.case()
    assert set(variables) == {"params", "batch_stats"}


@pytest.mark.parametrize("name", ["shapes", "dtypes", "initial variance", "linear map"])
def test_any_flax_module_of_these_arguments_can_be_checked(name):
    assert finding(nn.Conv, name).passed


def test_a_layer_of_two_dimensions_alone_is_checked_in_these():
    class Flat(Conv):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            if x.ndim != 4:
                raise ValueError(f"Flat takes x of 4 axes, got shape {x.shape}.")
            return convolved(self, x)

    measured = finding(Flat, "shapes")
    assert measured.passed
    assert measured.found == "shapes of a convolution in 2-D"


def test_a_layer_that_takes_nothing_fails_everywhere_it_should():
    class Nothing(Conv):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            raise RuntimeError("out of order")

    verdict = check_variant(Nothing)
    assert not verdict.passed
    assert len(verdict.findings) == 1
    assert "accepts no input with 1, 2 or 3 spatial axes; with 2: RuntimeError: out of order" in (
        verdict.findings[0].found
    )


@pytest.mark.fast
def test_the_verdict_is_readable():
    verdict = Verdict(
        "Mine()", (Finding("shapes", True, "right"), Finding("linear map", False, "word " * 30))
    )
    lines = verdict.text.splitlines()
    assert not verdict.passed
    assert lines[0] == "Mine(): FAILED, 1 of 2 properties hold"
    assert lines[1] == "  ok      shapes            right"
    assert lines[2].startswith("  FAILED  linear map        word word")
    assert lines[3].startswith(" " * 28 + "word")
    assert max(map(len, lines)) <= 100
    assert Verdict("Mine()", verdict.findings[:1]).passed


@pytest.mark.fast
def test_advice_and_what_is_waived_fail_no_layer():
    advice = Finding("initial variance", False, "2 times", required=False)
    waived = Finding("linear map", False, "not affine", waived="its gate is made of the input")
    verdict = Verdict("Mine()", (advice, waived))
    assert verdict.passed
    assert [line.split()[0] for line in verdict.text.splitlines()[1:]] == ["advice", "waived"]
    assert "not affine; waived: its gate is made of the input" in verdict.text
    assert "0 of 2" in verdict.headline

    (check,) = variant_checks(ClaimsNotToBeLinear, only=["linear map"])
    with pytest.raises(AssertionError):
        check()
    (check,) = variant_checks(
        ClaimsNotToBeLinear, only=["linear map"], waive={"linear map": "a gate"}
    )
    check()
    assert (check.finding().passed, check.finding().waived) == (False, "a gate")
    (check,) = variant_checks(AcceptsNonsense, only=["bad input"])
    check()
    assert not check.finding().passed


@pytest.mark.parametrize("argument", ["only", "waive"])
@pytest.mark.fast
def test_a_property_that_is_not_there_is_named(argument):
    with pytest.raises(ValueError, match=r"'linearmap' \(perhaps you meant 'linear map'\)"):
        variant_checks(Conv, **{argument: {"linearmap": "a gate"}})


@pytest.mark.fast
def test_a_failed_check_names_layer_property_and_what_was_found():
    made = functools.partial(HasMoreThanItClaims, use_bias=False)
    (check,) = [check for check in variant_checks(made) if str(check) == "bad_input"]
    check()
    (check,) = [
        check for check in variant_checks(ClaimsNotToBeLinear) if check.name == "linear map"
    ]
    with pytest.raises(AssertionError, match=r"^ClaimsNotToBeLinear\(\): linear map: affine"):
        check()


@pytest.mark.fast
def test_importing_it_imports_no_pytest():
    code = "import cnnjax.testing, sys; assert 'pytest' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
