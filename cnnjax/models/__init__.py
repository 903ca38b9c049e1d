"""Architectures, each of which takes its convolution as an argument.

Names are loaded when first used, so that a command line can be parsed before jax is imported.
"""

import importlib

_ROOMS = {
    "alexnet": ("AlexNet", "AlexNetOneTower"),
    "all_cnn": ("AllCNN",),
    "chain_net": ("ChainNet",),
    "cifar_tutorial": ("CifarTutorial",),
    "conv_net": ("ConvNet",),
    "densenet": (
        "DenseNet",
        "DenseNet40",
        "DenseNet121",
        "DenseNet169",
        "DenseNet201",
        "DenseNetBC100",
    ),
    "detector_net": ("DetectorNet",),
    "googlenet": ("GoogLeNet",),
    "lenet": ("LeNet5",),
    "plain": ("PlainNet",),
    "recurrent_segmentation": ("RecurrentSegmentation",),
    "resnet": (
        "ResNet",
        "ResNet18",
        "ResNet20",
        "ResNet34",
        "ResNet44",
        "ResNet50",
        "ResNet101",
        "ResNet152",
    ),
    "rotation_net": ("RotationNet",),
    "vgg": ("VGG", "VGG11", "VGG13", "VGG16", "VGG19"),
}

__all__ = sorted(name for names in _ROOMS.values() for name in names)


def __getattr__(name: str):
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{room}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
