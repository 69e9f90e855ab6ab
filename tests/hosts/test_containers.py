"""What the containers are allowed: the tests of one host, on several."""

from tests.cluster.test_containers import *  # noqa: F403
