"""After every kernel test nothing is left that was not there before, and the kernel is content."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.errors import LabError
from lab.waiting import wait_for
from tests.kernel.kernel_log import KernelLog
from tests.kernel.leftovers import Watch

# The driver ends sessions, tunnels and namespaces in work queues (l2tp_core.c: l2tp_wq).
_SETTLED_WITHIN_S = 5.0


@pytest.fixture(scope="session")
def kernel_log() -> Iterator[KernelLog]:
    log = KernelLog()
    yield log
    log.close()


@pytest.fixture(scope="module", autouse=True)
def module_leaves_nothing() -> Iterator[Watch]:
    """What the fixtures of a whole module made must go with the module."""
    log = KernelLog()
    watch = Watch(log)
    yield watch
    hold_to_account(watch)
    log.close()


@pytest.fixture(autouse=True)
def test_leaves_nothing(module_leaves_nothing: Watch, kernel_log: KernelLog) -> Iterator[None]:
    """What a test made must go with the test, and the kernel's log holds nothing against it."""
    watch = Watch(kernel_log, since=module_leaves_nothing.before)
    yield
    hold_to_account(watch)


def hold_to_account(watch: Watch) -> None:
    """Fail the test with what is left, or with what the kernel says."""
    left: list[str] = []

    def settled() -> bool:
        left[:] = watch.left()
        return not left

    try:
        wait_for(settled, "an empty kernel", deadline_s=_SETTLED_WITHIN_S)
    except LabError:
        pytest.fail("left behind:\n  " + "\n  ".join(left), pytrace=False)
    if complaints := watch.complaints():
        pytest.fail("the kernel's log says:\n  " + "\n  ".join(complaints), pytrace=False)
