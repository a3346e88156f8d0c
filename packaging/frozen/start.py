"""Where both programs of the frozen application begin; the name it is called by says which."""

import multiprocessing
import sys
from pathlib import Path

if __name__ == "__main__":
    multiprocessing.freeze_support()
    if Path(sys.argv[0]).stem == "g2g":  # on Linux a link to the one program there is
        from training_core.cli.main import main
    else:
        from g2g_desktop.__main__ import main
    sys.exit(main())
