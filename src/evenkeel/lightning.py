"""SyncBatchNorm in Lightning: a plugin for the place where ``sync_batchnorm=True`` puts torch's."""

from typing import Any

from lightning.pytorch.plugins.layer_sync import LayerSync
from torch import nn

from evenkeel.nn import SyncBatchNorm
from evenkeel.surgery.change import taken_back_on_error
from evenkeel.surgery.convert import convert
from evenkeel.surgery.kinds import original
from evenkeel.surgery.sites import sites


class SyncLayers(LayerSync):
    """Batch-norm layers take the batch of all processes while a Lightning Trainer fits them.

    ``group`` as in ``SyncBatchNorm``. Lightning applies it to DDP and FSDP strategies, before they
    wrap the model, and takes it back after the fit: every layer is then what it was, with the
    parameters and statistics that it has. Instead of ``sync_batchnorm=True``, which takes torch's
    layers and refuses ours.
    Source:  lightning.pytorch.plugins.TorchSyncBatchNorm

    >>> from lightning.pytorch import Trainer
    >>> options = dict(logger=False, enable_progress_bar=False, enable_model_summary=False)
    >>> trainer = Trainer(accelerator="cpu", strategy="ddp", plugins=[SyncLayers()], **options)
    """

    def __init__(self, group: Any = None) -> None:
        self.group = group
        self._made: list[nn.Module] = []

    def apply(self, model: nn.Module) -> nn.Module:
        """Make the layers SyncBatchNorm, in place."""
        others = [s.module for s in sites(model) if not isinstance(s.module, SyncBatchNorm)]
        convert(model, to="sync", inplace=True, group=self.group)
        self._made = [layer for layer in others if isinstance(layer, SyncBatchNorm)]
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        """Make those layers what they were, in place."""
        with taken_back_on_error() as journal:
            for layer in self._made:
                before = original(layer)
                if before is not None:
                    journal.swap(layer, before)
        self._made = []
        return model
