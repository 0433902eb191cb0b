"""`evenkeel info`: what is installed and what will run."""

import platform
from importlib import metadata

PACKAGES = ("torch", "lightning", "numpy", "scikit-learn", "safetensors", "tensorboard")


def info() -> None:
    """Print versions, kernels, threads and where downloads are kept."""
    import torch
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from evenkeel.data.download import cache_folder
    from evenkeel.kernels import KERNELS
    from evenkeel.version import __version__

    rows = {
        "evenkeel": __version__,
        "python": f"{platform.python_version()} on {platform.platform()}",
        **{name: _version(name) for name in PACKAGES},
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else "not available",
        "threads": str(torch.get_num_threads()),
        **_native(),
        "data cache": str(cache_folder()),
    }
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(overflow="fold")  # a path that is cut short is of no use
    for name, value in rows.items():
        table.add_row(name, escape(value))  # a compiler's message has brackets of its own
    for operation, kernels in KERNELS.items():
        names = [f"{k.name} (on request)" if k.on_request else k.name for k in kernels]
        table.add_row(f"kernels: {operation}", ", ".join(names))
    Console(soft_wrap=True).print(table)


def _native() -> dict[str, str]:
    """The instruction set in use, those there are, and where the library is; or why there is none."""
    from evenkeel.kernels import library

    reason = library.why_missing()
    if reason:
        return {"native kernels": f"missing: {reason}"}
    sets = f"{library.native().isa} (of {', '.join(library.isas())})"
    return {"native kernels": sets, "native library": str(library.LIBRARY)}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
