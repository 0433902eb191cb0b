"""Models in, models out: what is done to a whole network at its batch-norm layers."""

from evenkeel.surgery.convert import convert as convert
from evenkeel.surgery.export import export_onnx as export_onnx
from evenkeel.surgery.fold import fold as fold
from evenkeel.surgery.freeze import freeze as freeze
from evenkeel.surgery.freeze import unfreeze as unfreeze
from evenkeel.surgery.recalibrate import recalibrate as recalibrate
from evenkeel.surgery.report import Conversion as Conversion
from evenkeel.surgery.report import Outcome as Outcome
from evenkeel.surgery.report import report_of as report_of
from evenkeel.surgery.saved import load_model as load_model
from evenkeel.surgery.saved import save_model as save_model
