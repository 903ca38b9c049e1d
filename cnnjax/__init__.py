"""Convolutions and what symmetry they have, learn and lose, in JAX and Flax.

Packages: `ops` (functions of arrays), `layers` (Flax modules), `models`, `symmetry` and `inspect`
(measures of any function), `data`, `tasks`, `train`, `report`, `testing`. Each imports its names on
first use.
"""

__version__ = "0.1.0"
