"""The SavedModel of an Estimator."""

import importlib
import shutil
import time
from pathlib import Path
from typing import Any

from evenkeel.tf1 import errors
from evenkeel.tf1.estimator.export import signature_map
from evenkeel.tf1.estimator.model_fn import ModeKeys
from evenkeel.tf1.graph import Graph
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.session import Session
from evenkeel.tf1.system_errors import as_tensorflow
from evenkeel.tf1.train.saver import Saver
from evenkeel.tf1.train.scaffold import Scaffold
from evenkeel.tf1.train.steps import create_global_step


def export(
    estimator: Any, base: Any, receiver_fn: Any, assets_extra: Any, as_text: bool, checkpoint: Any
) -> bytes:
    """Write the model into a folder of its own below ``base``; there whole or not at all."""
    place = _free_place(Path(base.decode() if isinstance(base, bytes) else base))
    unfinished = place.with_name(f"temp-{place.name}")
    builder = importlib.import_module("evenkeel.tf1.saved_model").Builder(str(unfinished))
    _add_graph(estimator, builder, receiver_fn, checkpoint)
    builder.save(as_text)
    for inside, source in (assets_extra or {}).items():
        target = unfinished / "assets.extra" / inside
        with as_tensorflow(source):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    unfinished.rename(place)
    return str(place).encode()


def _free_place(base: Path) -> Path:
    """A folder named by the time, which is not there yet."""
    for _ in range(10):
        place = base / str(int(time.time()))
        if not place.exists():
            return place
        time.sleep(1)
    raise RuntimeError("Failed to obtain a unique export directory name after 10 attempts.")


def _add_graph(estimator: Any, builder: Any, receiver_fn: Any, checkpoint: Any) -> None:
    config = estimator.config
    with Graph().as_default() as graph:
        create_global_step(graph)
        graph.seed = config.tf_random_seed
        receiver = receiver_fn()
        spec = estimator.model_fn(receiver.features, None, ModeKeys.PREDICT, config)
        signatures = signature_map(receiver, spec.export_outputs)
        with Session(graph=graph, config=config.session_config) as session:
            local = spec.scaffold.local_init_op
            local = Scaffold.default_local_init_op() if local is None else local
            saver = spec.scaffold.saver or Saver(sharded=True)
            try:
                saver.restore(session, checkpoint)
            except errors.NotFoundError as error:
                raise ValueError(
                    "Could not load all requested variables from checkpoint. Please make sure your "
                    "model_fn does not expect variables that were not saved in the checkpoint.\n\n"
                    f"Encountered error while restoring checkpoint from: `{checkpoint}`: {error}"
                ) from error
            builder.add_meta_graph_and_variables(
                session, ["serve"], signature_def_map=signatures, main_op=local, saver=saver,
                assets_collection=graph.get_collection(GraphKeys.ASSET_FILEPATHS),
                strip_default_attrs=True,
            )  # fmt: skip
