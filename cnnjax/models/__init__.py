"""Architectures, each of which takes its convolution as an argument.

Names are loaded when first used, so that a command line can be parsed before jax is imported.
"""

from typing import TYPE_CHECKING

from cnnjax.run.lazy import lazy_exports

if TYPE_CHECKING:  # read by `lazy_exports`, too
    __all__: list[str]
    from cnnjax.models.alexnet import AlexNet as AlexNet, AlexNetOneTower as AlexNetOneTower
    from cnnjax.models.all_cnn import AllCNN as AllCNN
    from cnnjax.models.augerino import Augerino as Augerino
    from cnnjax.models.chain_net import ChainNet as ChainNet
    from cnnjax.models.cifar_tutorial import CifarTutorial as CifarTutorial
    from cnnjax.models.conv_net import ConvNet as ConvNet
    from cnnjax.models.densenet import (
        DenseNet as DenseNet,
        DenseNet40 as DenseNet40,
        DenseNet121 as DenseNet121,
        DenseNet169 as DenseNet169,
        DenseNet201 as DenseNet201,
        DenseNetBC100 as DenseNetBC100,
    )
    from cnnjax.models.detector_net import DetectorNet as DetectorNet
    from cnnjax.models.googlenet import (
        GoogLeNet as GoogLeNet,
        GoogLeNetBatchNorm as GoogLeNetBatchNorm,
    )
    from cnnjax.models.group_chain_net import GroupChainNet as GroupChainNet
    from cnnjax.models.lecun1989 import LeCun1989 as LeCun1989
    from cnnjax.models.lenet import LeNet5 as LeNet5
    from cnnjax.models.orientation_net import OrientationNet as OrientationNet
    from cnnjax.models.plain import ConvPoolDense as ConvPoolDense, PlainNet as PlainNet
    from cnnjax.models.recurrent_segmentation import RecurrentSegmentation as RecurrentSegmentation
    from cnnjax.models.resnet import (
        ResNet as ResNet,
        ResNet18 as ResNet18,
        ResNet20 as ResNet20,
        ResNet34 as ResNet34,
        ResNet44 as ResNet44,
        ResNet50 as ResNet50,
        ResNet101 as ResNet101,
        ResNet152 as ResNet152,
    )
    from cnnjax.models.rotation_net import RotationNet as RotationNet
    from cnnjax.models.vgg import (
        VGG as VGG,
        VGG11 as VGG11,
        VGG13 as VGG13,
        VGG16 as VGG16,
        VGG19 as VGG19,
    )
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__)
