"""Settings of the whole suite."""

from hypothesis import settings

# the same examples on every run and no limit on the time of one: a red test means a changed program
settings.register_profile("deterministic", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("deterministic")
