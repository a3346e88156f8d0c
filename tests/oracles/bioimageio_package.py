"""Export a denoiser for bioimage.io and let bioimageio.core test the package.

    python tests/oracles/bioimageio_package.py CHECKER/bin/bioimageio

The checker is in an environment of its own, since it wants other releases than this program:
`pip install bioimageio.core "pydantic<2.12"` and the torch of this one. A denoiser of the preset
instant is made of the sample in `resources`. What the checker finds is printed; the exit code is
its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


def main() -> int:
    """Export, check, and tell."""
    if len(sys.argv) != 2:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    from training_core.io.readers import open_stack
    from training_core.pipeline import train
    from training_core.reporting.bioimageio import export_bioimageio
    from training_core.settings import preset

    stack = open_stack(ROOT / "resources" / "samples" / "fluorescence_noisy.tif")
    denoiser = train([stack], preset("instant", device="cpu")).denoiser
    with tempfile.TemporaryDirectory() as folder:
        package = export_bioimageio(denoiser, stack, Path(folder) / "denoiser.zip")
        return subprocess.call([sys.argv[1], "test", str(package)])


if __name__ == "__main__":
    sys.exit(main())
