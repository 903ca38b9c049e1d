"""TFDS builders without TensorFlow, one module for each data set, each with a class `Builder`.

Those of mnist, fashion_mnist, cifar10 and cifar100 agree with the builders of TFDS in names,
versions, features, records and their order. They are not in the registry of TFDS, which takes each
name once.
"""

NAMES = ("cifar10", "cifar100", "digits", "fashion_mnist", "mnist", "rotated_mnist")
