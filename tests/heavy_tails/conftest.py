import inspect

import pytest


@pytest.fixture(scope="session")
def unchecked():
    """A function as users have it, without the check of annotations that tests add."""
    return inspect.unwrap
