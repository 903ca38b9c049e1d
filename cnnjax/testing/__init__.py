"""What a convolution must satisfy, as checks to run on one of your own.

    print(check_variant(MyConv).text)                     everything, with a verdict

    @pytest.mark.parametrize("check", variant_checks(MyConv), ids=str)
    def test_my_conv(check):                              each check as a test
        check()

    python launch.py check my_module:MyConv               from a command line

A layer may claim two things, both tested: `predicted_lattice(space)`, the translations that it
commutes with, as `cnnjax.layers.ConvolutionLayer` describes it, and `is_linear`, True or False:
whether the output is affine in the input. What it does not claim is measured and reported.
"""

from collections.abc import Callable
from typing import Any

from cnnjax.testing.properties import PROPERTIES
from cnnjax.testing.subject import Subject
from cnnjax.testing.verdict import Check, Finding, Verdict

__all__ = [
    "PROPERTIES",
    "Check",
    "Finding",
    "Subject",
    "Verdict",
    "check_variant",
    "variant_checks",
]


def check_variant(constructor: Callable[..., Any], **options: Any) -> Verdict:
    """Check everything that a convolution must satisfy; takes seconds to a minute on a CPU.

    Args:
      constructor: a Flax module class, or a function that makes a module, taking `features,
        kernel_size, strides, padding`; other arguments are bound by `functools.partial`.
      **options: fields of `Subject`: what it is made and tried with.
    """
    subject = Subject(constructor, **options)
    try:
        subject.dimensions  # noqa: B018
    except ValueError as error:
        return Verdict(str(subject), (Finding("input", False, str(error)),))
    checks = variant_checks(constructor, **options)
    return Verdict(str(subject), tuple(check.finding() for check in checks))


def variant_checks(constructor: Callable[..., Any], **options: Any) -> list[Check]:
    """The checks of `check_variant`, to be called one by one or parametrised over in pytest."""
    subject = Subject(constructor, **options)
    return [Check(name, subject, measure) for name, measure in PROPERTIES.items()]
