"""The same input gives the same tables as on one machine: the tests of one host, on several."""

import pytest

from tests.cluster.test_tables import *  # noqa: F403

pytestmark = pytest.mark.long
