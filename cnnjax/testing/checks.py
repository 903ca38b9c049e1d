"""Checks of a convolution, at once or one by one, and their results."""

import dataclasses
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from cnnjax.run.config import perhaps_you_meant
from cnnjax.testing.properties import ADVICE, PROPERTIES
from cnnjax.testing.subject import Subject

_WIDTH = max(map(len, PROPERTIES))


@dataclasses.dataclass(frozen=True)
class Finding:
    """Result of one check."""

    name: str
    """Name of the property."""
    passed: bool
    """Whether the property holds, or is not claimed."""
    found: str
    """What was measured, as text."""
    required: bool = True
    """Whether a layer without the property fails; otherwise this is advice."""
    waived: str | None = None
    """Why the property does not matter for this layer, if someone said so."""

    @property
    def fails(self) -> bool:
        """Whether the layer fails because of this."""
        return self.required and self.waived is None and not self.passed

    @property
    def text(self) -> str:
        """Lines of the verdict on this property."""
        if self.passed:
            word = "ok"
        elif self.waived is not None:
            word = "waived"
        else:
            word = "FAILED" if self.required else "advice"
        head = f"  {word:6}  {self.name:{_WIDTH}}  "
        waived = f"; waived: {self.waived}" if word == "waived" else ""
        lines = textwrap.wrap(
            self.found + waived, 100, initial_indent=head, subsequent_indent=" " * len(head)
        )
        return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Results of all checks of one layer."""

    layer: str
    """Name and arguments of the layer."""
    findings: tuple[Finding, ...]
    """Result of each check."""

    @property
    def passed(self) -> bool:
        """Whether every property holds that is required and not waived."""
        return not any(finding.fails for finding in self.findings)

    @property
    def headline(self) -> str:
        """Verdict in one line."""
        held = sum(finding.passed for finding in self.findings)
        verdict = "passed" if self.passed else "FAILED"
        return f"{self.layer}: {verdict}, {held} of {len(self.findings)} properties hold"

    @property
    def text(self) -> str:
        """Verdict, then for each property what was measured."""
        return "\n".join([self.headline, *(finding.text for finding in self.findings)])


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
    waived: str | None = None
    """Why the property does not matter for this layer, if someone said so."""

    def __str__(self) -> str:
        return self.name.replace(" ", "_")

    def __call__(self) -> None:
        finding = self.finding()
        if finding.fails:
            raise AssertionError(f"{self.subject}: {finding.name}: {finding.found}")

    def finding(self) -> Finding:
        """Result of the check; an exception of the layer is a failure, too."""
        try:
            passed, found = self.measure(self.subject)
        except Exception as error:
            lines = str(error).splitlines() or [""]
            passed, found = False, f"raised {type(error).__name__}: {lines[0]}"
        return Finding(self.name, bool(passed), found, self.name not in ADVICE, self.waived)


def check_variant(
    constructor: Callable[..., Any],
    *,
    only: Collection[str] = (),
    waive: Mapping[str, str] | None = None,
    **options: Any,
) -> Verdict:
    """Check the properties of a convolution; takes half a minute on a CPU.

    Args:
      constructor: a Flax module class, or a function that returns a module, with arguments
        `features, kernel_size, strides, padding`; bind others by `functools.partial`.
      only: names of the properties to check, by default all `PROPERTIES`.
      waive: reasons, by the names of properties that do not matter for this layer.
      **options: fields of `Subject`: channels, kernel size and seed.

    Raises:
      ValueError: there is no such property.
    """
    checks = variant_checks(constructor, only=only, waive=waive, **options)
    return Verdict(str(checks[0].subject), tuple(findings(checks)))


def variant_checks(
    constructor: Callable[..., Any],
    *,
    only: Collection[str] = (),
    waive: Mapping[str, str] | None = None,
    **options: Any,
) -> list[Check]:
    """Checks of `check_variant`, to be called one by one or as parameters of a pytest test."""
    waived = dict(waive or {})
    for name in (*only, *waived):
        if name not in PROPERTIES:
            raise ValueError(
                f"there is no property {name!r}{perhaps_you_meant(name, PROPERTIES)}: there are "
                f"{', '.join(PROPERTIES)}."
            )
    subject = Subject(constructor, **options)
    return [
        Check(name, subject, measure, waived.get(name))
        for name, measure in PROPERTIES.items()
        if not only or name in only
    ]


def findings(checks: Sequence[Check]) -> Iterator[Finding]:
    """Results of the checks of one layer, each as it is found.

    If the layer accepts no input, there is one result, which says so.
    """
    try:
        checks[0].subject.dimensions  # noqa: B018
    except ValueError as error:
        yield Finding("input", False, str(error))
        return
    for check in checks:
        yield check.finding()
