"""All checks of a convolution, at once or one by one."""

from collections.abc import Callable
from typing import Any

from cnnjax.testing.properties import PROPERTIES
from cnnjax.testing.subject import Subject
from cnnjax.testing.verdict import Check, Finding, Verdict


def check_variant(constructor: Callable[..., Any], **options: Any) -> Verdict:
    """Check every property of a convolution; takes seconds to a minute on a CPU.

    Args:
      constructor: a Flax module class, or a function that returns a module, with arguments
        `features, kernel_size, strides, padding`; bind others by `functools.partial`.
      **options: fields of `Subject`: channels, kernel size and seed.
    """
    subject = Subject(constructor, **options)
    try:
        subject.dimensions  # noqa: B018
    except ValueError as error:
        return Verdict(str(subject), (Finding("input", False, str(error)),))
    checks = variant_checks(constructor, **options)
    return Verdict(str(subject), tuple(check.finding() for check in checks))


def variant_checks(constructor: Callable[..., Any], **options: Any) -> list[Check]:
    """Checks of `check_variant`, to be called one by one or as parameters of a pytest test."""
    subject = Subject(constructor, **options)
    return [Check(name, subject, measure) for name, measure in PROPERTIES.items()]
