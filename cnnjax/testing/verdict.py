"""What checks find, and how it is told."""

import dataclasses
import textwrap
from collections.abc import Callable

from cnnjax.testing.subject import Subject


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one check found."""

    name: str
    """Of the property."""
    passed: bool
    """Whether it holds, or is not claimed."""
    found: str
    """What was measured, in words."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What all checks found about one layer."""

    layer: str
    """Its name and arguments."""
    findings: tuple[Finding, ...]
    """One for each check."""

    @property
    def passed(self) -> bool:
        """Whether every property holds."""
        return all(finding.passed for finding in self.findings)

    @property
    def text(self) -> str:
        """The verdict, then a line for each property with what was found."""
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
    """One property of one layer: call it, and it raises AssertionError unless the layer has it."""

    name: str
    """Of the property."""
    subject: Subject
    """The layer."""
    measure: Callable[[Subject], tuple[bool, str]]
    """From the layer to whether it has the property, and what was found."""

    def __str__(self) -> str:
        return self.name.replace(" ", "_")

    def __call__(self) -> None:
        finding = self.finding()
        if not finding.passed:
            raise AssertionError(f"{self.subject}: {finding.name}: {finding.found}")

    def finding(self) -> Finding:
        """What the check finds; an error of the layer is a finding, too."""
        try:
            passed, found = self.measure(self.subject)
        except Exception as error:
            lines = str(error).splitlines() or [""]
            passed, found = False, f"raised {type(error).__name__}: {lines[0]}"
        return Finding(self.name, bool(passed), found)
