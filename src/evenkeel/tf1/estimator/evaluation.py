"""One evaluation of a checkpoint: update the metrics batch by batch, read them at the end."""

import math
import time
from typing import Any

from evenkeel.tf1 import logging
from evenkeel.tf1.api.arrays import identity
from evenkeel.tf1.api.state import assign_add
from evenkeel.tf1.api.variable_scopes import get_variable
from evenkeel.tf1.dtypes import int64
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.train.hooks import FinalOpsHook
from evenkeel.tf1.train.monitored_session import ChiefSessionCreator, MonitoredSession
from evenkeel.tf1.train.session_run_hook import SessionRunArgs, SessionRunHook
from evenkeel.tf1.train.slot_creator import zeros_initializer


def eval_step() -> Any:
    """The variable that counts the batches of an evaluation, made where there is none."""
    found = get_default_graph().get_collection(GraphKeys.EVAL_STEP)
    if len(found) > 1:
        raise ValueError("Multiple tensors added to tf.GraphKeys.EVAL_STEP")
    if found:
        return found[0]
    return get_variable(
        "eval_step", shape=[], dtype=int64, initializer=zeros_initializer, trainable=False,
        collections=[GraphKeys.LOCAL_VARIABLES, GraphKeys.EVAL_STEP],
    )  # fmt: skip


class StopAfterNEvals(SessionRunHook):
    """Ends after so many batches."""

    def __init__(self, num_evals: int) -> None:
        self._count = num_evals
        self._every = 1 if num_evals < 20 else math.floor(num_evals / 10)
        self.done: Any = None  # the tensor that counts

    def before_run(self, run_context: Any) -> SessionRunArgs:
        """Ask for the count."""
        return SessionRunArgs(self.done)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """End where it is reached."""
        done = run_values.results
        if done % self._every == 0 or done == self._count:
            logging.info("Evaluation [%d/%d]", done, self._count)
        if done >= self._count:
            run_context.request_stop()


def evaluate_once(
    checkpoint_path: Any, scaffold: Any, eval_ops: Any, final_ops: Any, hooks: list[Any], config: Any,
) -> Any:  # fmt: skip
    """The values of ``final_ops`` after ``eval_ops`` ran to the end of the input."""
    step = eval_step()
    if eval_ops is not None:
        update = assign_add(step, 1, use_locking=True)
        with get_default_graph().control_dependencies([eval_ops, update]):
            count = identity(step.read_value())
        for hook in hooks:
            if isinstance(hook, StopAfterNEvals):
                hook.done = count
    logging.info("Starting evaluation at %s", time.strftime("%Y-%m-%dT%H:%M:%SZ"))
    creator = ChiefSessionCreator(
        scaffold, config=config, checkpoint_filename_with_path=checkpoint_path
    )
    final = FinalOpsHook(final_ops)
    with MonitoredSession(creator, [*hooks, final]) as session:
        while eval_ops is not None and not session.should_stop():
            session.run([eval_ops, update])
    logging.info("Finished evaluation at %s", time.strftime("%Y-%m-%d-%H:%M:%S"))
    return final.final_ops_values
