"""What every test of an experiment may take."""

from tests.experiments.fakes import watch

__all__ = ["watch"]
