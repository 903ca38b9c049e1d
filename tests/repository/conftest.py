"""What every test of the repository may take."""

from tests.experiments.digits import few_test_images

__all__ = ["few_test_images"]
