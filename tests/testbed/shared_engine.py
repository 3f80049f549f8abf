"""An engine that several tests use one after another."""

import pytest


def used(bed):
    """The steps of a fixture: the engine with no pods; what a test leaves is removed after it, and
    an engine that has died is started again for the next."""
    assert bed.alive(), "the engine has died:\n" + bed.log_tail()
    yield bed
    if not bed.alive():
        tail = bed.log_tail()
        bed.start_engine()
        pytest.fail("the engine died during the test:\n" + tail)
    bed.remove_all_pods()
