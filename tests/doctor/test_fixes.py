"""After a fix its finding is gone, and inference is that of the batches again."""

import pytest
import torch

from doctor import planted as plants
from doctor.healthy import trained
from doctor.planted import Plant
from evenkeel.doctor import RULES, diagnose
from evenkeel.doctor.finding import NOTE
from evenkeel.errors import BadOption

FIXED = [
    ("EK101", plants.never_updated),
    ("EK102", plants.drifted_mean),
    ("EK102", plants.drifted_variance),
    ("EK103", plants.not_finite),
    ("EK104", plants.long_memory),
    ("EK105", plants.momentum_side),
    ("EK106", plants.moved_twice),
    ("EK108", plants.not_moved),
    ("EK109", plants.thaws),
    ("EK201", plants.batch_statistics),
    ("EK301", plants.bias_before),
    ("EK311", plants.lost_activation),
    ("EK401", plants.half_precision),
    ("EK402", plants.eps_of_origin),
]
LOST = ("EK101", "EK102", "EK103", "EK201")  # faults that cost accuracy in inference


@pytest.mark.parametrize(("code", "plant"), FIXED)
def test_the_finding_is_gone(code: str, plant: Plant) -> None:
    torch.manual_seed(0)
    case = plant(trained("ResNet"), "ResNet")
    before = diagnose(case.model, case.batches, **case.options)
    for found in before.findings:
        if found.code == code:
            assert found.can_fix
            found.fix(case.model, case.batches)
    after = diagnose(case.model, case.batches, **case.options)
    gone = [f for f in after.findings if f.code == code and f.place in case.places]
    assert not gone
    known = {f.code for f in before.findings}
    assert [f for f in after.findings if f.code not in known and f.severity > NOTE] == []
    if code in LOST:
        scores = after.trace.scores
        assert scores is not None
        assert abs(scores.loss - scores.loss_by_batch) < 0.1


def test_every_fix_is_tried() -> None:
    assert {code for code, _ in FIXED} == {code for code in RULES if RULES[code].repair}


def test_a_bias_is_dropped_without_a_change() -> None:
    case = plants.bias_before(trained("ResNet"), "ResNet")
    x = case.batches[0][0]
    want = case.model.eval()(x)
    (found,) = diagnose(case.model, case.batches, select=["EK301"]).findings
    found.fix(case.model)
    assert torch.allclose(case.model(x), want, atol=1e-4)


def test_a_fix_that_needs_data_says_so() -> None:
    case = plants.drifted_mean(trained("ResNet"), "ResNet")
    (found,) = diagnose(case.model, case.batches, select=["EK102"]).findings
    with pytest.raises(BadOption, match="takes statistics from data"):
        found.fix(case.model)
    (note,) = diagnose(case.model, case.batches, select=["EK302"]).findings[:1]
    with pytest.raises(BadOption, match="has no fix"):
        note.fix(case.model)
