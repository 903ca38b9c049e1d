"""TFDS builders that need no TensorFlow, one module a data set, each with a class `Builder`.

They are not entered in TFDS's own registry, where some names are those of its stock
builders. Names, versions, features, records and their order are those of the stock builders.
"""

NAMES = ("cifar10", "cifar100", "digits", "fashion_mnist", "mnist", "rotated_mnist")
