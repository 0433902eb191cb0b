"""``tf.layers.Layer``: a name, a variable scope, weights made at the first call."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from evenkeel.tf1.api import arrays
from evenkeel.tf1.api.initializers import GlorotUniform, Ones, Zeros
from evenkeel.tf1.api.math import cast
from evenkeel.tf1.api.variable_scopes import VariableScope, get_variable, variable_scope
from evenkeel.tf1.build import convert, name_scope
from evenkeel.tf1.dtypes import DType, as_dtype, float32
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.layers import reach
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.shapes import TensorShape
from evenkeel.tf1.stacks import get_default_graph

_COUNTS = ("__layer_names",)
ZEROS, ONES = Zeros(), Ones()


def snake_case(name: str) -> str:
    """The name of a class as the name of a layer.

    >>> snake_case("BatchNormalization"), snake_case("Conv2DTranspose")
    ('batch_normalization', 'conv2d_transpose')
    """
    parted = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", parted).lower()


class InputSpec:
    """What a layer asks of its input."""

    def __init__(
        self, dtype: Any = None, shape: Any = None, ndim: int | None = None,
        max_ndim: int | None = None, min_ndim: int | None = None, axes: Any = None,
    ) -> None:  # fmt: skip
        self.dtype, self.ndim = dtype, len(shape) if shape is not None else ndim
        self.shape, self.max_ndim, self.min_ndim, self.axes = shape, max_ndim, min_ndim, axes or {}

    def check(self, tensor: Tensor, layer: str) -> None:
        """ValueError with TensorFlow's words where the input does not fit."""
        start = f"Input 0 of layer {layer} is incompatible with the layer: "
        rank = tensor.shape.ndims
        if rank is None:
            if (self.ndim, self.min_ndim, self.max_ndim) != (None, None, None):
                raise ValueError(
                    f"{start}its rank is undefined, but the layer requires a defined rank."
                )
            return
        shown = f"Full shape received: {tensor.shape.as_list()}"
        if self.ndim is not None and rank != self.ndim:
            raise ValueError(f"{start}expected ndim={self.ndim}, found ndim={rank}. {shown}")
        if self.min_ndim is not None and rank < self.min_ndim:
            raise ValueError(
                f"{start}: expected min_ndim={self.min_ndim}, found ndim={rank}. {shown}"
            )
        for axis, size in self.axes.items():
            if size is not None and tensor.shape.sizes[axis] not in (size, None):
                raise ValueError(
                    f"{start}expected axis {axis} of input shape to have value {size} but received "
                    f"input with shape {tensor.shape.as_list()}"
                )


class Layer:
    """A layer: ``build`` makes its weights, ``call`` its nodes.

    Names are TensorFlow's: variables under the variable scope, nodes under the name scope.
    """

    def __init__(
        self, trainable: bool = True, name: str | None = None, dtype: Any = None,
        activity_regularizer: Any = None, _scope: Any = None, _reuse: Any = None, **given: Any,
    ) -> None:  # fmt: skip
        if given:
            raise TypeError(f"Keyword argument not understood: {next(iter(given))}")
        self.trainable, self.stateful, self.built = trainable, False, False
        self._dtype: DType | None = None if dtype is None else as_dtype(dtype)
        self._activity_regularizer = activity_regularizer
        self._graph = get_default_graph()
        self.input_spec: InputSpec | None = None
        self._trained: list[Any] = []
        self._fixed: list[Any] = []
        self._updates: list[Operation] = []
        self._losses: list[Any] = []
        self._reuse, self._scope = _reuse, None
        self._name, self._base_name = self._named(name)
        self._current: VariableScope
        if _scope:
            with variable_scope(_scope) as found:
                self._scope = found

    def _named(self, name: str | None) -> tuple[str, str]:
        if isinstance(name, VariableScope):
            name = name.name
        if name:
            return name, name
        kept = self._graph.get_collection_ref(_COUNTS)
        if not kept:
            kept.append({})
        base = snake_case(type(self).__name__)
        kept[0][base] = count = kept[0].get(base, 0) + 1
        return f"{base}_{count}", base

    # ---- what it is

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    @property
    def dtype(self) -> Any:
        """The element type, or None before the first call."""
        return self._dtype

    @property
    def graph(self) -> Any:
        """The graph that it is part of."""
        return self._graph

    @property
    def scope_name(self) -> str:
        """The name of its variable scope."""
        if self._scope is None:
            raise ValueError(
                f'No name available for layer scope because the layer "{self._name}" has not been '
                "used yet. The scope name  is determined the first time the layer instance is "
                "called. You must therefore call the layer before querying `scope_name`."
            )
        return str(self._scope.name)

    @property
    def activity_regularizer(self) -> Any:
        """What its output costs."""
        return self._activity_regularizer

    @property
    def trainable_weights(self) -> list[Any]:
        """The weights that optimizers train."""
        return list(self._trained) if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Any]:
        """The weights that they do not."""
        return list(self._fixed) if self.trainable else [*self._trained, *self._fixed]

    @property
    def weights(self) -> list[Any]:
        """All weights."""
        return [*self.trainable_weights, *self.non_trainable_weights]

    variables = weights
    trainable_variables = trainable_weights
    non_trainable_variables = non_trainable_weights

    @property
    def updates(self) -> list[Operation]:
        """What moving averages need to be run."""
        return list(self._updates) if self.trainable or self.stateful else []

    @property
    def losses(self) -> list[Any]:
        """What is added to the loss."""
        return list(self._losses)

    def get_updates_for(self, inputs: Any) -> list[Operation]:
        """The updates that depend on these inputs; with None, those that depend on no input."""
        return reach.depending(self.updates, inputs, self._inputs)

    def get_losses_for(self, inputs: Any) -> list[Any]:
        """The losses that depend on these inputs; with None, those that depend on no input."""
        return reach.depending(self.losses, inputs, self._inputs)

    def count_params(self) -> int:
        """How many numbers the weights hold."""
        return sum(w.shape.num_elements() or 0 for w in self.weights)

    # ---- what it does

    def build(self, input_shape: TensorShape) -> None:
        """Make the weights for inputs of this shape."""
        self.built = True

    def call(self, inputs: Any, **kwargs: Any) -> Any:
        """Make the nodes."""
        return inputs

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """The shape of the output."""
        raise NotImplementedError

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Make the weights at the first call, then the nodes."""
        self._set_scope(kwargs.pop("scope", None))
        reuse = True if self.built else self._reuse
        with variable_scope(self._scope, reuse=reuse, auxiliary_name_scope=False) as scope:
            self._current = scope
            with name_scope(scope.original_name_scope):
                outputs = self._made(inputs, args, kwargs)
        known = get_default_graph().get_collection_ref(GraphKeys.UPDATE_OPS)
        known += [op for op in self.updates if op not in known]
        return outputs

    apply = __call__

    def _made(self, inputs: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        flat = inputs if isinstance(inputs, list | tuple) else [inputs]
        tensors = [value if isinstance(value, Tensor) else convert(value) for value in flat]
        given = list(tensors) if isinstance(inputs, list | tuple) else tensors[0]
        self._inputs.extend(tensors)
        if self.input_spec is not None:
            self.input_spec.check(tensors[0], self.name)
        if not self.built:
            self._dtype = self._dtype or tensors[0].dtype.base_dtype
            shapes = [t.shape for t in tensors]
            self.build(shapes if isinstance(inputs, list | tuple) else shapes[0])  # type: ignore[arg-type]
            self.built = True
        outputs = self.call(given, *args, **kwargs)
        if self._activity_regularizer is not None:
            self._charge(outputs, tensors)
        return outputs

    @property
    def _inputs(self) -> list[Tensor]:
        return self.__dict__.setdefault("_taken", [])  # type: ignore[no-any-return]

    def _charge(self, outputs: Any, inputs: list[Tensor]) -> None:
        """The cost of the output, for each member of the batch."""
        for output in outputs if isinstance(outputs, list | tuple) else [outputs]:
            with name_scope("ActivityRegularizer"):
                cost = self._activity_regularizer(output)
                size = cast(arrays.shape(output)[0], cost.dtype.base_dtype)
                self.add_loss(cost / size, inputs)

    def _set_scope(self, scope: Any = None) -> None:
        if self._scope is not None:
            return
        if self._reuse:
            with variable_scope(scope if scope is not None else self._base_name) as found:
                self._scope = found
        else:
            with variable_scope(scope, default_name=self._base_name) as found:
                self._scope = found

    @contextmanager
    def _in_scope(self) -> Iterator[VariableScope]:
        reuse = True if self.built else self._reuse
        with (
            variable_scope(self._scope, reuse=reuse, auxiliary_name_scope=False) as scope,
            name_scope(scope.original_name_scope),
        ):
            yield scope

    def add_weight(
        self, name: str, shape: Any, dtype: Any = None, initializer: Any = None,
        regularizer: Any = None, trainable: bool | None = None, constraint: Any = None,
        **_: Any,
    ) -> Any:  # fmt: skip
        """A variable of this layer."""
        wanted = True if trainable is None else trainable
        self._set_scope(None)
        kind = dtype or self._dtype or float32
        before = set(get_default_graph().get_collection_ref(GraphKeys.GLOBAL_VARIABLES))
        with self._in_scope() as scope:
            chosen = initializer
            if chosen is None:
                chosen = scope.initializer or _initializer(as_dtype(kind))
            made = get_variable(
                name, shape=TensorShape(shape), dtype=as_dtype(kind), initializer=chosen,
                trainable=wanted and self.trainable, constraint=constraint,
                regularizer=_silent if regularizer is not None else None,
            )  # fmt: skip
            if regularizer is not None and made not in before:
                with name_scope(f"{name}/Regularizer"):
                    self.add_loss(regularizer(made))
        (self._trained if wanted else self._fixed).append(made)
        return made

    add_variable = add_weight

    def add_update(self, updates: Any, inputs: Any = None) -> None:
        """Operations that move the layer's statistics: they join UPDATE_OPS."""
        for update in updates if isinstance(updates, list | tuple) else [updates]:
            made = update() if callable(update) else update
            self._updates.append(made if isinstance(made, Operation) else made.op)

    def add_loss(self, losses: Any, inputs: Any = None) -> None:
        """Costs of weights or outputs: they join REGULARIZATION_LOSSES."""
        graph = get_default_graph()
        for loss in losses if isinstance(losses, list | tuple) else [losses]:
            if loss is not None:
                self._losses.append(loss)
                graph.add_to_collection(GraphKeys.REGULARIZATION_LOSSES, loss)


def _silent(_: Any) -> None:
    """Keeps the scope's regularizer away from a weight whose own the layer adds."""


def _initializer(dtype: DType) -> Any:
    return GlorotUniform() if dtype.is_floating else ZEROS
