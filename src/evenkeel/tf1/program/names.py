"""Which module of TensorFlow is what in the dialect: one rule, and a table of what it cannot tell.

The rule for ``tensorflow.python``: the words of a module's path are namespaces (``ops.nn_impl``:
``tf.nn``; ``training.adam``: ``tf.train``). A name is looked for there, then in ``tf``, then in the
dialect's own module of that name, then in the other namespaces. Nothing is imported here.
"""

import re
from functools import cache
from pathlib import Path

TF = ("",)
PYTHON, CONTRIB, CORE = "tensorflow.python", "tensorflow.contrib", "tensorflow.core"

# A value names attributes of ``tf``, looked through in this order; "" is ``tf`` itself.
MODULES: dict[str, tuple[str, ...]] = {
    "tensorflow": TF,
    "tensorflow.compat": ("compat",),
    "tensorflow.compat.v1": TF,
    "tensorflow.contrib.learn.datasets.mnist": ("datasets.mnist",),
    "tensorflow.contrib.learn.python.learn.datasets.base": ("datasets",),
    "tensorflow.contrib.learn.python.learn.datasets.mnist": ("datasets.mnist",),
    "tensorflow.contrib.slim.python.slim.learning": ("contrib.slim.learning",),
    "tensorflow.examples.tutorials.mnist.input_data": ("datasets.mnist",),
    "tensorflow.python.client.device_lib": ("program.devices",),
    "tensorflow.python.framework.smart_cond": ("api.control", "control_ops"),
    "tensorflow.python.framework.tensor_shape": ("", "shapes"),
    "tensorflow.python.framework.tensor_util": ("", "fold"),
    "tensorflow.python.framework.test_util": ("test.decorators", "test"),
    "tensorflow.python.layers.utils": ("api.control", "control_ops", "fold"),
    "tensorflow.python.ops.control_flow_ops": ("", "control_ops"),
    "tensorflow.python.ops.gradient_checker": ("test",),
    "tensorflow.python.ops.rnn": ("nn", "nn.rnn_cell"),
    "tensorflow.python.ops.rnn_cell": ("nn.rnn_cell",),
    "tensorflow.python.ops.rnn_cell_impl": ("nn.rnn_cell",),
    "tensorflow.python.util.tf_contextlib": ("program.decorators",),
    "tensorflow.python.util.tf_decorator": ("program.decorators",),
    "tensorflow.python.util.tf_export": ("program.decorators",),
    "tensorflow.contrib.rnn.python.ops.core_rnn_cell": ("nn.rnn_cell", "contrib.rnn"),
}
# Words of paths that namespaces do not have.
_WORDS = {"training": "train", "init": "initializers", "string": "strings", "io": "gfile"}
_AFFIXES = re.compile(r"^(?:gen|tf)_|_(?:impl|ops|op|lib|util|utils)$")
# Where a name of tensorflow.python is looked for last; the order decides between two meanings.
NAMESPACES = (
    "nn", "math", "layers", "train", "losses", "metrics", "initializers", "random", "linalg", "image",
    "summary", "errors", "strings", "sparse", "data", "test", "saved_model", "estimator", "gfile",
    "graph_util", "logging", "flags", "app", "nest", "compat", "python_io", "keras",
)  # fmt: skip


def sources(module: str) -> tuple[str, ...]:
    """Where to look for the names of a module.

    >>> sources("tensorflow.compat.v1.layers"), sources("tensorflow.python.training.adam")[:2]
    (('layers',), ('train', ''))
    """
    given = MODULES.get(module, ())
    if _below(module, CORE):
        return ("proto",)
    if _below(module, PYTHON):
        return tuple(dict.fromkeys((*given, *_by_words(module))))
    part, _, rest = module.removeprefix(f"{CONTRIB}.").partition(".")
    if not given and _below(module, CONTRIB) and "python" in rest.split("."):
        return (f"contrib.{part}",)
    return given or (_plain(module),)


def elsewhere(module: str) -> tuple[str, ...]:
    """Where to look last for a name of one of the inner modules."""
    keras = _below(module, f"{PYTHON}.keras")  # its layers are not those of tf.layers
    return NAMESPACES if _below(module, PYTHON) and not keras else ()


@cache
def modules() -> dict[str, tuple[str, ...]]:
    """Every package under ``tensorflow.`` of TensorFlow 1.15, and the modules in it."""
    lines = (Path(__file__).parent / "modules.txt").read_text(encoding="utf-8").splitlines()[1:]
    rows = (line.split(": ") for line in lines)
    return {f"tensorflow.{package}": tuple(inside.split()) for package, inside in rows}


def is_real(module: str) -> bool:
    """Whether TensorFlow 1.15 has such a module under ``python`` or ``contrib``, or one of ``core``.

    >>> is_real("tensorflow.python.ops.rnn_cell_impl"), is_real("tensorflow.python.ops.core_rnn")
    (True, False)
    """
    package, _, name = module.rpartition(".")
    in_core = _below(module, CORE) and (name.endswith("_pb2") or module.count(".") < 3)
    return module in modules() or name in modules().get(package, ()) or in_core


def beside(module: str, name: str) -> str:
    """The module that TensorFlow's module most likely imported under this name; empty without one."""
    package = module.rpartition(".")[0]
    if _below(module, PYTHON):
        for place in (package, f"{PYTHON}.framework", f"{PYTHON}.ops", f"{PYTHON}.training"):
            if name in modules().get(place, ()):
                return f"{place}.{name}"
    return ""


@cache
def _by_words(module: str) -> tuple[str, ...]:
    words = module.split(".")[2:]
    if words[:1] == ["keras"]:
        return (".".join(words),)
    found = [stem for word in reversed(words) if (stem := _stem(word)) in NAMESPACES]
    own = [f"{space}.{words[-1]}" for space in found] + words[-1:]
    return tuple(dict.fromkeys((*found, "", *own)))


def _stem(word: str) -> str:
    """``gen_nn_ops`` and ``nn_impl`` are ``nn``."""
    while (shorter := _AFFIXES.sub("", word)) != word:
        word = shorter
    return _WORDS.get(word, word)


def _below(module: str, root: str) -> bool:
    return module == root or module.startswith(f"{root}.")


def _plain(module: str) -> str:
    """``tensorflow.compat.v1.layers`` is ``layers``."""
    for root in ("tensorflow.compat.v1.", "tensorflow."):
        if module.startswith(root):
            return module.removeprefix(root)
    return ""


# Packages that only lead to a module above: tensorflow.examples, tensorflow.contrib.learn.python …
PACKAGES = {
    name.rsplit(".", cut)[0] for name in MODULES for cut in range(1, name.count(".") + 1)
} - {*MODULES}
