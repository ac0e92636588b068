"""What holds for all tests."""

from hypothesis import settings

# a slow machine is no wrong result
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
