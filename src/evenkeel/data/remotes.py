"""What can be downloaded: the files of each data set, their sizes, checksums and mirrors."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from evenkeel.errors import BadOption
from evenkeel.tables import Table


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file's name, its size in bytes, and its checksum as ``sha256:…`` or ``md5:…``.

    Raises:  BadOption for a checksum of another form
    """

    name: str
    size: int
    checksum: str

    def __post_init__(self) -> None:
        if not re.fullmatch("sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", self.checksum):
            raise BadOption(
                "a checksum is sha256: or md5: and the digest in lower-case hexadecimal digits",
                got=self.checksum,
                do="compute it with sha256sum",
            )

    def matches(self, path: Path) -> bool:
        """Whether the file at ``path`` has this checksum."""
        algorithm, digest = self.checksum.split(":")
        with path.open("rb") as file:
            return hashlib.file_digest(file, algorithm).hexdigest() == digest


@dataclass(frozen=True, slots=True)
class Remote:
    """A data set that can be downloaded; a file's URL is a mirror and the file's name."""

    name: str
    mirrors: tuple[str, ...]
    files: tuple[RemoteFile, ...]


REMOTES: Table[Remote] = Table("downloadable data set")


def _remote(name: str, mirrors: tuple[str, ...], *files: tuple[str, int, str]) -> None:
    rows = tuple(RemoteFile(f"{stem}-ubyte.gz", size, f"sha256:{sha}") for stem, size, sha in files)
    REMOTES.add(name)(Remote(name, mirrors, rows))


# Mirrors: torchvision's and TensorFlow Datasets'. The sums are those of TensorFlow Datasets.
_remote(
    "mnist",
    (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    (
        "train-images-idx3",
        9912422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    (
        "train-labels-idx1",
        28881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    (
        "t10k-images-idx3",
        1648877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    (
        "t10k-labels-idx1",
        4542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
)

# Mirrors: its authors' repository, Keras's copy, its authors' store (without TLS: the checksum
# is what is trusted). The sums are those of TensorFlow Datasets and Keras.
_remote(
    "fashion-mnist",
    (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    (
        "train-images-idx3",
        26421880,
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    ),
    (
        "train-labels-idx1",
        29515,
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    ),
    (
        "t10k-images-idx3",
        4422102,
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    ),
    (
        "t10k-labels-idx1",
        5148,
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
)
