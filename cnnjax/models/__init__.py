"""Architectures, each of which takes its convolution as an argument.

Names are loaded when first used, so that a command line can be parsed before jax is imported.
"""

from cnnjax.run.lazy import lazy_exports

_SUBMODULES = {
    "alexnet": ("AlexNet", "AlexNetOneTower"),
    "all_cnn": ("AllCNN",),
    "chain_net": ("ChainNet",),
    "cifar_tutorial": ("CifarTutorial",),
    "conv_net": ("ConvNet",),
    "densenet": (
        "DenseNet", "DenseNet40", "DenseNet121", "DenseNet169", "DenseNet201", "DenseNetBC100",
    ),
    "detector_net": ("DetectorNet",),
    "googlenet": ("GoogLeNet", "GoogLeNetBatchNorm"),
    "lecun1989": ("LeCun1989",),
    "lenet": ("LeNet5",),
    "plain": ("ConvPoolDense", "PlainNet"),
    "recurrent_segmentation": ("RecurrentSegmentation",),
    "resnet": (
        "ResNet", "ResNet18", "ResNet20", "ResNet34", "ResNet44", "ResNet50", "ResNet101",
        "ResNet152",
    ),
    "rotation_net": ("RotationNet",),
    "vgg": ("VGG", "VGG11", "VGG13", "VGG16", "VGG19"),
}  # fmt: skip

__getattr__, __dir__, __all__ = lazy_exports(__name__, _SUBMODULES)
