"""Scale of the layers of a network: standard deviations of kernels, outputs and gradients."""

import inspect
from collections.abc import Mapping
from typing import Any

import jax
import optax
from flax import linen


def layer_scales(
    model: linen.Module, variables: Mapping[str, Any], images: jax.Array, labels: jax.Array
) -> dict[str, dict[str, jax.Array]]:
    """Standard deviations of the kernel of each layer, of its output, and of its gradient.

        kernel:   std of K            over all its entries, of a bank those of all positions
        output:   std of z            over images, positions and channels, before the activation
        gradient: std of dL / dK      over the entries of K, L the mean cross-entropy of the images

    A layer is a module with a parameter 'kernel'. As in a step of training: batch normalisation
    takes the statistics of these images. Pure, and works under jit with the model static.

    Args:
      model: gives logits `[batch, classes]`; without dropout, and with no `axis_name`.
      variables: its variables.
      images: `[batch, *space, channels]`, as the network sees them.
      labels: `[batch]`, whole numbers.

    Returns:
      'kernel', 'output' and 'gradient', each by the path of the layer: 'conv1', 'block2/conv1'.

    Raises:
      ValueError: no layer of the model has a kernel.
    """
    takes_train = "train" in inspect.signature(model.__call__).parameters
    train: dict[str, Any] = {"train": True} if takes_train else {}

    def loss(params):
        outputs: dict[str, jax.Array] = {}

        def keep(next_function, args, kwargs, context):
            value = next_function(*args, **kwargs)
            module = context.module
            if context.method_name == "__call__" and module.has_variable("params", "kernel"):
                outputs.setdefault("/".join(module.path), value)
            return value

        with linen.intercept_methods(keep):
            logits, _ = model.apply(
                {**variables, "params": params}, images, mutable=["batch_stats"], **train
            )
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return losses.mean(), outputs

    gradient, outputs = jax.grad(loss, has_aux=True)(variables["params"])
    if not outputs:
        raise ValueError(
            f"`model` must have layers with a parameter 'kernel', got {type(model).__name__}."
        )

    def kernel_of(tree: Any, path: str) -> jax.Array:
        for name in path.split("/"):
            tree = tree[name]
        return tree["kernel"]

    return {
        "kernel": {path: kernel_of(variables["params"], path).std() for path in outputs},
        "output": {path: output.std() for path, output in outputs.items()},
        "gradient": {path: kernel_of(gradient, path).std() for path in outputs},
    }
