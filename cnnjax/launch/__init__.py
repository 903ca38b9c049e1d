"""The command line. Arguments are read before jax is imported: help is instant, devices obeyed."""
