"""L2 regularization of some of a network's parameters, for torch's optimizers."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn


def l2_groups(network: nn.Module, decayed: Iterable[Tensor], rate: float) -> list[dict[str, Any]]:
    """Two parameter groups: ``decayed`` with weight decay, the others without.

    Math:    the loss gets + rate · Σ w² / 2 (tf.nn.l2_loss), so w's gradient + rate · w, which is
             what ``weight_decay`` adds in torch's SGD and Adam (not in AdamW). The loss that is
             shown lacks the term
    """
    chosen = list(decayed)
    ids = {id(parameter) for parameter in chosen}
    others = [parameter for parameter in network.parameters() if id(parameter) not in ids]
    return [
        {"params": chosen, "weight_decay": rate},
        {"params": others, "weight_decay": 0.0},
    ]
