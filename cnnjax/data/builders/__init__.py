"""TFDS builders that need no TensorFlow, one module a data set, each with a class `Builder`.

Those of mnist, fashion_mnist, cifar10 and cifar100 make what TFDS's stock builders make: the same
names, versions, features and records in the same order. They are not entered in TFDS's registry,
which takes every name once.
"""

NAMES = ("cifar10", "cifar100", "digits", "fashion_mnist", "mnist", "rotated_mnist")
