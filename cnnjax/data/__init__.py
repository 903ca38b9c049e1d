"""Data sets by TFDS name, the order of batches, and preprocessing and augmentation on the device.

* `cnnjax.data.datasets`: `load` and `prepare` a data set by name.
* `cnnjax.data.batches`: the examples of every step, as a pure function.
* `cnnjax.data.preprocess`: placement, augmentation and standardisation inside the compiled step.

Importing this package imports neither jax nor TFDS; import from the modules.
"""
