"""`python -m training_core` is the command `g2g`."""

import sys

from training_core.cli.main import main

sys.exit(main())
