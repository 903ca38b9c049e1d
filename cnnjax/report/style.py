"""The former place of cnnjax.report.figures.style, until its last importer is gone."""

from cnnjax.report.figures.style import *  # noqa: F403
