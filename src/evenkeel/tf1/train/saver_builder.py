"""The nodes of a Saver, in TensorFlow's order; programs may build them another way (``builder=``)."""

import uuid
from typing import Any

from evenkeel.tf1.api.constants import placeholder_with_default
from evenkeel.tf1.api.control import group
from evenkeel.tf1.build import apply, build, constant, name_scope
from evenkeel.tf1.control_ops import with_dependencies
from evenkeel.tf1.naming import merge_device
from evenkeel.tf1.nodes import Tensor
from evenkeel.tf1.proto import SaverDef
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.train import saveables as kinds
from evenkeel.tf1.train.saveables import saveables_of

FOREVER = 10000.0  # hours: TensorFlow's way to keep no checkpoint for good

_Saveables = list[kinds.SaveableObject]
_ByDevice = list[tuple[str, _Saveables]]


class BaseSaverBuilder:
    """Builds a node that saves, and one that restores for each tensor; programs replace its methods."""

    SaveSpec = kinds.SaveSpec
    SaveableObject = kinds.SaveableObject

    def __init__(self, write_version: int = SaverDef.V2) -> None:
        self._write_version = write_version

    def save_op(self, filename_tensor: Any, saveables: _Saveables) -> Any:
        """The node that writes these."""
        specs = [spec for saveable in saveables for spec in saveable.specs]
        names, slices = [s.name for s in specs], [s.slice_spec for s in specs]
        tensors = [s.tensor for s in specs]
        if self._write_version == SaverDef.V1:
            return build("SaveSlices", filename_tensor, names, slices, tensors, name="save")
        if self._write_version == SaverDef.V2:
            return build("SaveV2", filename_tensor, names, slices, tensors)
        raise RuntimeError(f"Unexpected write_version: {self._write_version}")

    def bulk_restore(
        self, filename_tensor: Any, saveables: Any, preferred_shard: int, restore_sequentially: Any
    ) -> list[Tensor]:
        """The tensors that all these are restored from."""
        found: list[Tensor] = []
        for saveable in saveables:
            device = _cpu(saveable.device) if saveable.device else None
            with get_default_graph().device(device):
                found += self.restore_op(filename_tensor, saveable, preferred_shard)
        return found

    def restore_op(self, filename_tensor: Any, saveable: Any, preferred_shard: int) -> list[Tensor]:
        """The tensors that one is restored from."""
        return [
            apply(
                "RestoreV2", filename_tensor, [spec.name], [spec.slice_spec],
                dtypes=[spec.dtype.base_dtype],
            )[0]
            for spec in saveable.specs
        ]  # fmt: skip

    def sharded_filename(self, filename_tensor: Any, shard: int, num_shards: Any) -> Any:
        """The name of one shard."""
        return apply("ShardedFilename", filename_tensor, shard, num_shards)

    def build(
        self, names_to_saveables: Any, reshape: bool = False, sharded: bool = False,
        max_to_keep: int | None = 5, keep_checkpoint_every_n_hours: float = FOREVER,
        name: str | None = None, restore_sequentially: bool = False, filename: str | None = "model",
    ) -> Any:  # fmt: skip
        """Make the nodes; the SaverDef that names them."""
        saveables = saveables_of(names_to_saveables)
        with name_scope(name, "save", [saveable.op for saveable in saveables]):
            given = placeholder_with_default(filename or "model", shape=(), name="filename")
            prefix = placeholder_with_default(given, shape=(), name="Const")
            if sharded:
                devices = _by_device(saveables)
                saved = self._save_shards(prefix, devices)
                restored = self._restore_shards(prefix, devices, restore_sequentially, reshape)
            else:
                saved = self._save(prefix, saveables)
                restored = self._restore(prefix, saveables, restore_sequentially, reshape)
        return SaverDef(
            filename_tensor_name=prefix.name, save_tensor_name=saved.name,
            restore_op_name=restored.name, max_to_keep=max_to_keep or 0, sharded=sharded,
            keep_checkpoint_every_n_hours=keep_checkpoint_every_n_hours,
            version=self._write_version,
        )  # fmt: skip

    def _save(self, prefix: Any, saveables: _Saveables) -> Any:
        return with_dependencies([self.save_op(prefix, saveables)], prefix)

    def _save_shards(self, prefix: Any, devices: _ByDevice) -> Any:
        graph, is_v1 = get_default_graph(), self._write_version == SaverDef.V1
        base, place, saves, names = prefix, "", [], []
        if not is_v1:
            # A folder of its own for the shards, until they are merged.
            base = apply("StringJoin", [prefix, f"_temp_{uuid.uuid4().hex}/part"])
        count = constant(len(devices), name="num_shards")
        for shard, (device, saveables) in enumerate(devices):
            place = device if is_v1 else _cpu(device)
            with graph.device(place):
                names.append(self.sharded_filename(base, shard, count))
                saves.append(self._save(names[-1], saveables))
        with graph.control_dependencies([saved.op for saved in saves]):
            if is_v1:
                return apply("ShardedFilespec", prefix, count)
            with graph.device(place):
                merged = build("MergeV2Checkpoints", names, prefix, delete_old_dirs=True)
                with graph.control_dependencies([merged]):
                    return apply("Identity", prefix)

    def _restore(
        self, prefix: Any, saveables: Any, sequentially: bool, reshape: bool, shard: int = -1,
        name: str = "restore_all",
    ) -> Any:  # fmt: skip
        tensors = list(self.bulk_restore(prefix, saveables, shard, sequentially))
        done = []
        for saveable in saveables:
            mine = [tensors.pop(0) for _ in saveable.specs]
            shapes = [_shape(spec.tensor) for spec in saveable.specs] if reshape else None
            done.append(saveable.restore(mine, shapes))
        return group(*done, name=name)

    def _restore_shards(self, prefix: Any, devices: Any, sequentially: bool, reshape: bool) -> Any:
        done = []
        for shard, (device, saveables) in enumerate(devices):
            with get_default_graph().device(device):
                done.append(
                    self._restore(prefix, saveables, sequentially, reshape, shard, "restore_shard")
                )
        return group(*done, name="restore_all")


class BulkSaverBuilder(BaseSaverBuilder):
    """One node that restores everything: what a Saver builds unless it is told otherwise."""

    def bulk_restore(
        self, filename_tensor: Any, saveables: Any, preferred_shard: int, restore_sequentially: Any
    ) -> list[Tensor]:
        """The tensors that all these are restored from; one node reads one after the other anyway."""
        specs = [spec for saveable in saveables for spec in saveable.specs]
        with get_default_graph().device("/cpu:0"):
            return apply(  # type: ignore[no-any-return]
                "RestoreV2", filename_tensor, [s.name for s in specs],
                [s.slice_spec for s in specs], dtypes=[s.dtype.base_dtype for s in specs],
            )  # fmt: skip


def _shape(tensor: Any) -> Any:
    shape = tensor.get_shape()
    return shape.as_list() if shape.is_fully_defined() else apply("Shape", tensor)


def _cpu(device: str) -> str:
    return merge_device(device, "/device:CPU:0")


def _by_device(saveables: _Saveables) -> _ByDevice:
    found: dict[str, _Saveables] = {}
    for saveable in saveables:
        devices = {merge_device("", spec.tensor.device) for spec in saveable.specs}
        if len(devices) != 1:
            raise ValueError(
                f"All tensors of a saveable object must be on the same device: {saveable.name}"
            )
        found.setdefault(devices.pop(), []).append(saveable)
    return sorted(found.items(), key=lambda item: item[0])
