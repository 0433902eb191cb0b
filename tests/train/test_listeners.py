import io

from rich.console import Console

from evenkeel.train.listeners import Bar, Lines, Listener
from evenkeel.train.records import Evaluation, TrainRow


def test_the_bar_shows_step_loss_and_accuracy_on_a_terminal() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80)
    with Bar(console, "conv20: some label", 800, 200) as bar:
        bar.stepped(201)
        bar.logged(TrainRow(250, 0.1234, 0.5, 0.01))
        bar.evaluated(Evaluation(400, 0.3, 0.8765))
    shown = out.getvalue()
    assert "conv20: some label" in shown
    assert "400/800" in shown
    assert "loss 0.1234" in shown
    assert "validation 0.8765" in shown


def test_lines_are_one_an_evaluation() -> None:
    out = io.StringIO()
    lines = Lines(Console(file=out, width=40), "label", 800)
    for step in range(1, 101):
        lines.stepped(step)
        lines.logged(TrainRow(step, 1 / step, 0.5, 0.01))
    lines.evaluated(Evaluation(100, 0.3, 0.8765))
    assert out.getvalue().splitlines() == [
        "label",
        "step 100 of 800  loss 0.0100  validation loss 0.3000, accuracy 0.8765",
    ]


def test_a_listener_that_does_not_care_hears_everything() -> None:
    with Listener() as listener:
        listener.stepped(1)
        listener.logged(TrainRow(1, 0.1, 0.5, 0.01))
        listener.evaluated(Evaluation(1, 0.3, 0.9))
