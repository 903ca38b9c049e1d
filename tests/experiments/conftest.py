"""What every test of an experiment may take."""

from tests.experiments.fakes import watch
from tests.experiments.weights import tiny_weights

__all__ = ["tiny_weights", "watch"]
