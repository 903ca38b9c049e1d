"""The one door: lists the experiments, explains one, runs one or a sweep of them, compares runs."""

import sys

from cnnjax.launch.main import main

if __name__ == "__main__":
    sys.exit(main())
