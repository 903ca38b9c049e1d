"""Data sets by TFDS name, the order of their batches, and what the device does to their images.

* `cnnjax.data.datasets`: `load` and `prepare` a data set by name.
* `cnnjax.data.batches`: which examples belong to which step, as a pure function.
* `cnnjax.data.preprocess`: placement, augmentation and standardisation inside the compiled step.

Importing this package imports neither jax nor TFDS; import from the modules.
"""
