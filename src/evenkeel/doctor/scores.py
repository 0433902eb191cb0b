"""How good the model is in inference: by its running statistics, and by those of the batches."""

from typing import Any

from evenkeel.doctor.feeding import Loss, are_classes, labels_of, logits_of, loss_of, size_of
from evenkeel.doctor.trace import Scores


def scores_of(
    batches: list[Any], outputs: list[Any], by_batch: list[Any], loss: Loss | None
) -> Scores | None:
    """The scores on batches with labels; None without any."""
    scored = len(by_batch)
    if not scored or len(outputs) < scored:
        return None
    batches, outputs = batches[:scored], outputs[:scored]
    running, batched = (_score(batches, given, loss) for given in (outputs, by_batch))
    if running is None or batched is None:
        return None
    return Scores(*running, *batched, images=sum(size_of(batch) for batch in batches))


def _score(
    batches: list[Any], outputs: list[Any], loss: Loss | None
) -> tuple[float, float | None] | None:
    total = images = right = counted = 0.0
    for batch, given in zip(batches, outputs, strict=True):
        labels, logits = labels_of(batch), logits_of(given)
        value = None if labels is None else loss_of(given, labels, loss)
        if value is None:
            return None
        size = size_of(batch)
        total, images = total + float(value) * size, images + size
        if logits is not None and are_classes(labels, logits):
            right += float((logits.argmax(1) == labels).sum())
            counted += size
    return total / images, (right / counted if counted else None)
