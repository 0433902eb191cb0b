"""Models in, models out: what is done to a whole network at its batch-norm layers."""

from evenkeel.surgery.convert import convert as convert
from evenkeel.surgery.report import Conversion as Conversion
from evenkeel.surgery.report import Outcome as Outcome
from evenkeel.surgery.report import report_of as report_of
