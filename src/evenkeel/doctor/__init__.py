"""The doctor: what is wrong with batch normalization, the number that shows it, what to do.

observe -> trace -> rules -> report. Only ``observe`` touches a model; a trace is plain data, a rule a
pure function of it.
"""

from evenkeel.doctor.diagnose import diagnose as diagnose
from evenkeel.doctor.finding import Finding as Finding
from evenkeel.doctor.finding import Severity as Severity
from evenkeel.doctor.monitor import Monitor as Monitor
from evenkeel.doctor.monitor import Poisoned as Poisoned
from evenkeel.doctor.monitor import Unhealthy as Unhealthy
from evenkeel.doctor.report import Report as Report
from evenkeel.doctor.report import judge as judge
from evenkeel.doctor.rules import RULES as RULES
from evenkeel.doctor.trace import Trace as Trace
