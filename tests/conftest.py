"""What all tests share."""

from hypothesis import settings

# A kernel is compiled on its first call, so the first example takes longer than the rest: no deadline an example.
settings.register_profile("leofric", deadline=None)
settings.load_profile("leofric")
