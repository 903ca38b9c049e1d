"""The entry point: lists experiments, explains one, runs one or a sweep of them, compares runs."""

from cnnjax.launch.exits import leave, outlive_readers
from cnnjax.launch.main import main

if __name__ == "__main__":
    outlive_readers()
    leave(main())
