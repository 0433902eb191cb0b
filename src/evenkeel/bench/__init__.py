"""What `evenkeel bench` runs: check against float64 first, then time turn by turn, then tell."""

from evenkeel.bench.run import SUITES as SUITES
from evenkeel.bench.run import Options as Options
from evenkeel.bench.run import bench as bench
