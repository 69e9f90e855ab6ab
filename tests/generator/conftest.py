"""One synthetic October and November for all tests of the generator."""

from __future__ import annotations

import pytest

from spark_apps.generator import GeneratorSpec
from tests.generator.months import Sample, make_sample


@pytest.fixture(scope="session")
def october() -> Sample:
    return make_sample(GeneratorSpec(200_000, "2019-10", seed=11))


@pytest.fixture(scope="session")
def november() -> Sample:
    return make_sample(GeneratorSpec(200_000, "2019-11", seed=11))
