"""What a layer or a network is: its cost."""

from cnnjax.inspect.cost import multiply_adds, parameter_count

__all__ = ["multiply_adds", "parameter_count"]
