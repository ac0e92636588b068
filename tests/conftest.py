"""What holds for all tests."""

import pytest
from hypothesis import settings

# a slow machine is no wrong result
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="module")
def local():
    """The embedded model, whose answers are not kept; skipped where its weights are not."""
    from ethogram.errors import WeightsError
    from ethogram.lm import LM, Broker

    lm = LM.connect("local", broker=Broker.bare(), threads=1, context=512)
    try:
        lm.sync.capabilities()
    except WeightsError as error:
        pytest.skip(str(error))
    yield lm
    lm.sync.close()
