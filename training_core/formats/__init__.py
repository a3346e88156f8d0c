"""The files of other programs, a module a family: what is in them, and planes on request."""

import sys

# Where somebody has installed `requests`, pydicom imports it to download examples, and that opens a
# socket to see what networks there are. Without it pydicom does all that is asked of it here.
if not {"pydicom", "requests"} & sys.modules.keys():
    sys.modules["requests"] = None  # type: ignore[assignment]  # an import of it fails
    try:
        import pydicom  # noqa: F401 - for the first time
    finally:
        del sys.modules["requests"]
