"""What every test of an experiment may take."""

from tests.experiments.digits import few_test_images
from tests.experiments.fakes import watch
from tests.experiments.torn import complete_again
from tests.experiments.weights import tiny_weights

__all__ = ["complete_again", "few_test_images", "tiny_weights", "watch"]
