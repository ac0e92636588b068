"""The embedded model, for the one test that asks it."""

from tests.lm.conftest import local, own_folder  # noqa: F401
