"""Checks of a convolution, at once or one by one, and their results."""

import dataclasses
import textwrap
from collections.abc import Callable
from typing import Any

from cnnjax.testing.properties import PROPERTIES
from cnnjax.testing.subject import Subject


@dataclasses.dataclass(frozen=True)
class Finding:
    """Result of one check."""

    name: str
    """Name of the property."""
    passed: bool
    """Whether the property holds, or is not claimed."""
    found: str
    """What was measured, as text."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Results of all checks of one layer."""

    layer: str
    """Name and arguments of the layer."""
    findings: tuple[Finding, ...]
    """Result of each check."""

    @property
    def passed(self) -> bool:
        """Whether every property holds."""
        return all(finding.passed for finding in self.findings)

    @property
    def text(self) -> str:
        """Verdict, then a line for each property with what was measured."""
        held = sum(finding.passed for finding in self.findings)
        verdict = "passed" if self.passed else "FAILED"
        lines = [f"{self.layer}: {verdict}, {held} of {len(self.findings)} properties hold"]
        width = max(len(finding.name) for finding in self.findings)
        for finding in self.findings:
            head = f"  {'ok    ' if finding.passed else 'FAILED'}  {finding.name:{width}}  "
            lines += textwrap.wrap(
                finding.found, 100, initial_indent=head, subsequent_indent=" " * len(head)
            )
        return "\n".join(lines)


@dataclasses.dataclass(frozen=True, eq=False)
class Check:
    """Check of one property of one layer; calling it raises AssertionError unless the property
    holds."""

    name: str
    """Name of the property."""
    subject: Subject
    """Layer under test."""
    measure: Callable[[Subject], tuple[bool, str]]
    """Function from the layer to whether the property holds, and what was measured."""

    def __str__(self) -> str:
        return self.name.replace(" ", "_")

    def __call__(self) -> None:
        finding = self.finding()
        if not finding.passed:
            raise AssertionError(f"{self.subject}: {finding.name}: {finding.found}")

    def finding(self) -> Finding:
        """Result of the check; an exception of the layer is a failure, too."""
        try:
            passed, found = self.measure(self.subject)
        except Exception as error:
            lines = str(error).splitlines() or [""]
            passed, found = False, f"raised {type(error).__name__}: {lines[0]}"
        return Finding(self.name, bool(passed), found)


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
