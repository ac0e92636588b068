"""The embedded model and folders of one's own, as in the tests of the language layer."""

from tests.lm.conftest import local, own_folder  # noqa: F401
