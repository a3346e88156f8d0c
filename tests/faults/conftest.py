"""How much of the faults is tried."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def full_faults(pytestconfig: pytest.Config) -> bool:
    """Whether every fault is tried, as `--faults-full` asks, or a few of each kind."""
    return bool(pytestconfig.getoption("--faults-full"))
