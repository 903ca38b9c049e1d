"""Architectures, each of which takes its convolution as an argument."""

from cnnjax.models.conv_net import ConvNet

__all__ = ["ConvNet"]
