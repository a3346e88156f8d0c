"""Where both programs of the frozen application begin; the name of the file says which it is."""

import multiprocessing
import sys
from pathlib import Path

if __name__ == "__main__":
    multiprocessing.freeze_support()
    if Path(sys.executable).stem == "g2g-desktop":
        from g2g_desktop.__main__ import main
    else:
        from training_core.cli.main import main
    sys.exit(main())
