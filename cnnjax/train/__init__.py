"""Training: the state, pure steps, data parallelism, the loop, checkpoints.

Import names from the files, for example `from cnnjax.train.config import TrainConfig`: this
package itself imports nothing, so that a configuration can be read before jax is loaded.
"""
