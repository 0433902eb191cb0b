"""`evenkeel fold`: batch normalization into the weights beside it."""

from evenkeel.cli.model import Factory, Out, Weights
from evenkeel.cli.source import BatchSize, Source


def fold(
    model: Factory,
    *,
    weights: Weights = None,
    data: Source = None,
    out: Out = None,
    batch_size: BatchSize = 64,
) -> None:
    """Fold every batch-norm layer into the linear operation beside it, and write the new weights.

    With --data the folded model is compared with the model on the first batch, and nothing is written
    where they differ by more than rounding.
    """
    from evenkeel.cli import model as models
    from evenkeel.cli import surgery_shown as shown
    from evenkeel.cli.source import batches, probe_of
    from evenkeel.surgery import fold as library
    from evenkeel.surgery import report_of
    from evenkeel.surgery.probe import difference

    path = models.out_path(out, model, "-folded.safetensors")
    built = models.built(model, weights)
    probe = None if data is None else probe_of(batches(data, batch_size))
    with models.running(str(data)):
        folded = library(built, probe)
        error = None if probe is None else difference(built, folded, probe)
    shown.show_sites(report_of(folded))
    if error is None:
        shown.show_unverified()
    else:
        shown.show_verified(f"outputs on the first batch differ by {error:.1e} of the largest")
    models.save(folded, path)
    do = f'ek.surgery.load_model(ek.fold(build().eval()), "{path}")'
    shown.show_files({"weights": path}, do)
