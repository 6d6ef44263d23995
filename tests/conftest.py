"""Settings of the whole suite."""

from hypothesis import Phase, settings

# the same examples on every run and no limit on the time of one: a red test means a changed program
settings.register_profile("deterministic", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("deterministic")
# for runs that only ask whether a test fails, not on which smallest example
settings.register_profile(
    "unshrunk", parent=settings.get_profile("deterministic"), phases=[Phase.explicit, Phase.generate]
)
