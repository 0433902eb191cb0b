"""TensorFlow 1 networks carried to PyTorch: a graph in; readable code, weights and a proof out."""

from evenkeel.port.port import Ported as Ported
from evenkeel.port.port import port as port
from evenkeel.port.port import write as write
from evenkeel.port.source import Source as Source
from evenkeel.port.source import from_frozen as from_frozen
from evenkeel.port.source import from_meta as from_meta
from evenkeel.port.source import from_program as from_program
from evenkeel.port.source import from_saved_model as from_saved_model
from evenkeel.port.source import open_source as open_source
from evenkeel.port.tracing import Unportable as Unportable
