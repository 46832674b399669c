"""The standard normaliser, built once."""

import pytest

from stages.core.text.config import standard_config
from stages.core.text.normalise import Normaliser


@pytest.fixture(scope="session")
def normaliser() -> Normaliser:
    return Normaliser(standard_config())
