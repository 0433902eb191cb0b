"""How many examples the fuzz tests draw: 500, or as many and new ones as `make fuzz` asks for."""

import os

from hypothesis import HealthCheck, settings

_asked = os.environ.get("EVENKEEL_EXAMPLES", "")
EXAMPLES = int(_asked or 500)
fuzz = settings(
    max_examples=EXAMPLES,
    derandomize=not _asked,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
