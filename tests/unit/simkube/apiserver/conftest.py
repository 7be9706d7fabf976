"""Property tests of the API server run on machines that do other things too: no deadlines."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "shared-machine", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("shared-machine")
