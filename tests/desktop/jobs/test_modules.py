"""Large modules come in without holding up the window."""

from __future__ import annotations

import gc
import json
import subprocess
import sys

import pytest

from g2g_desktop.jobs.modules import modules_coming

# Opens the libraries in a thread, where none are open yet, and counts how often another goes on.
OPENED = """
import json, sys, threading, time
from g2g_desktop.jobs.modules import open_torch_libraries

opened = []
thread = threading.Thread(target=lambda: opened.extend(open_torch_libraries()))
thread.start()
heard = 0
while thread.is_alive():
    time.sleep(0.001)
    heard += 1
imported = "torch" in sys.modules
import torch
print(json.dumps([opened, heard, imported, float(torch.ones(3).sum())]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="torch opens its libraries itself there")
def test_other_threads_go_on_while_the_libraries_of_torch_are_opened() -> None:
    found = subprocess.run(
        [sys.executable, "-c", OPENED], capture_output=True, check=True, text=True, timeout=60
    )
    opened, heard, imported, three = json.loads(found.stdout)
    assert opened == ["libtorch_global_deps", "libtorch_python"]
    assert heard > 10  # opened by the import itself, one or two
    assert (imported, three) == (False, 3.0)


def test_garbage_is_looked_for_again_after_modules_have_come() -> None:
    assert gc.isenabled()
    with modules_coming():
        assert not gc.isenabled()
    assert gc.isenabled()
