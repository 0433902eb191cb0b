"""Which node becomes which layer: one family a file; importing them fills the table."""

from evenkeel.port.rules import arithmetic as arithmetic
from evenkeel.port.rules import convolution as convolution
from evenkeel.port.rules import dropout as dropout
from evenkeel.port.rules import joining as joining
from evenkeel.port.rules import normalization as normalization
from evenkeel.port.rules import pooling as pooling
from evenkeel.port.rules import shaping as shaping
