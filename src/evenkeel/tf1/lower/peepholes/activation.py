"""The activation behind a normalization: it moves into the normalization's kernel."""

from evenkeel.tf1.lower.steps import ALIAS, Plan, Step, alias
from evenkeel.tf1.nodes import Operation, Tensor

NAMES = {"Relu": "relu", "Relu6": "relu6", "Elu": "elu", "Sigmoid": "sigmoid", "Tanh": "tanh"}


def activation_behind(plan: Plan, y: Tensor) -> Operation | None:
    """The activation that alone takes ``y``, where nobody looks between."""
    while y not in plan.fed and y not in plan.fetched:
        takers = [step for step in plan.steps if y in step.inputs]
        if len(takers) != 1:
            return None
        step = takers[0]
        if step.is_plain and step.op.type in NAMES:
            return step.op
        if not passes_on(step):
            return None
        y = step.outputs[0]
    return None


def passes_on(step: Step) -> bool:
    """Whether a step gives its input another name and does nothing else."""
    return step.name == ALIAS or (step.is_plain and step.op.type == "Identity")


def taken_in(plan: Plan, y: Tensor) -> str | None:
    """The name of the activation behind ``y``, whose node only passes on from now; None for none."""
    node = activation_behind(plan, y)
    if node is None:
        return None
    plan.replace(alias(node, node.inputs[0]))
    return NAMES[node.type]
