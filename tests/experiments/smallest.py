"""The main study at its smallest: the same words for every test that runs it, so that what one has
compiled the others find."""

SIDE = 16
"""Height and width of the canvas: that of an enlarged digit."""
LOGIT_IMAGES = 8
"""Test images on which the change of the logits is measured."""
WORDS = (
    *("--canvas", str(SIDE), "--logit-images", str(LOGIT_IMAGES), "--translations", "1"),
    *("--train.steps", "20", "--train.batch-size", "32"),
    *("--train.log-every", "10", "--train.eval-every", "20"),
)
"""After `equivariance smoke`."""
