"""`python -m training_core` is the command `g2g`."""

import sys

from .cli import main

sys.exit(main())
