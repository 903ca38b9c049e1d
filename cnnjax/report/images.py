"""The former place of cnnjax.report.figures.images, until its last importer is gone."""

from cnnjax.report.figures.images import *  # noqa: F403
