"""Small networks of TensorFlow 1, one form each, as functions of the namespace and of is_training."""

from collections.abc import Callable
from typing import Any

import numpy as np

import evenkeel.tf1 as tf
from evenkeel.port import Source
from evenkeel.tf1.graph import Graph
from evenkeel.tf1.nodes import Tensor

Network = Callable[[], Any]  # a tensor: the functions of tf are untyped
NETWORKS: dict[str, Network] = {}


def network(function: Network) -> Network:
    NETWORKS[function.__name__] = function
    return function


def image(channels: int = 3, size: int = 9) -> Tensor:
    made: Tensor = tf.placeholder(tf.float32, [None, size, size, channels], name="image")
    return made


def rows(count: int = 6) -> Tensor:
    made: Tensor = tf.placeholder(tf.float32, [None, count], name="rows")
    return made


def training() -> Tensor:
    made: Tensor = tf.placeholder(tf.bool, [], name="training")
    return made


def source_of(build: Network, seed: int = 0) -> tuple[Source, str]:
    """The graph of a network with random values in every variable, and its output's name."""
    graph = Graph()
    with graph.as_default():
        output = build()
    return Source(graph, random_values(graph, seed)), output.name


def random_values(graph: Graph, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    values = {}
    for op in graph.operations.values():
        if op.type not in ("VariableV2", "VarHandleOp"):
            continue
        shape = [int(s or 0) for s in op.outputs[0].shape.as_list()]
        kind = op.outputs[0].dtype.base_dtype.as_numpy_dtype
        drawn = rng.standard_normal(shape) * 0.3
        if "var" in op.name.rpartition("/")[2].lower():
            drawn = np.abs(drawn) + 0.5
        values[op.name] = drawn.astype(kind)
    return values


@network
def dense_relu() -> Any:
    x = tf.layers.dense(rows(), 4, activation=tf.nn.relu)
    return tf.layers.dense(x, 3)


@network
def same_stride_two() -> Any:
    x = tf.layers.conv2d(image(size=10), 5, 3, 2, "same", activation=tf.nn.relu)
    return tf.layers.conv2d(x, 4, [2, 3], 1, "same")


@network
def valid() -> Any:
    return tf.layers.conv2d(image(), 4, [3, 2], [2, 1], "valid")


@network
def conv_flatten_dense() -> Any:
    x = tf.layers.conv2d(image(), 5, 3, 2, "same")
    x = tf.layers.flatten(x)
    return tf.layers.dense(x, 3)


@network
def flatten_by_hand() -> Any:
    x = tf.layers.conv2d(image(), 5, 3, 2, "same")
    x = tf.nn.tanh(tf.reshape(x, [-1, 5 * 5 * 5]))
    x = tf.layers.batch_normalization(x, training=training())
    return tf.layers.dense(x, 3)


@network
def flatten_as_output() -> Any:
    x = tf.layers.conv2d(image(), 2, 3, 2, "same")
    return tf.layers.flatten(x)


@network
def rows_to_image() -> Any:
    x = tf.reshape(rows(48), [-1, 4, 4, 3])
    return tf.layers.conv2d(x, 2, 3, padding="same")


@network
def atrous_layer() -> Any:
    return tf.layers.conv2d(image(size=11), 4, 3, padding="same", dilation_rate=2)


@network
def atrous_function() -> Any:
    kernel = tf.Variable(tf.zeros([3, 3, 3, 4]), name="kernel")
    return tf.nn.atrous_conv2d(image(size=12), kernel, 3, "VALID")


@network
def depthwise() -> Any:
    kernel = tf.Variable(tf.zeros([3, 3, 3, 2]), name="kernel")
    return tf.nn.depthwise_conv2d(image(), kernel, [1, 2, 2, 1], "SAME")


@network
def separable() -> Any:
    x = tf.layers.separable_conv2d(image(), 6, 3, padding="same", depth_multiplier=2)
    return tf.nn.relu6(x)


@network
def transposed_same() -> Any:
    return tf.layers.conv2d_transpose(image(size=5), 4, 3, 2, "same")


@network
def transposed_valid() -> Any:
    return tf.layers.conv2d_transpose(image(size=5), 4, 2, 3, "valid")


@network
def transposed_even() -> Any:
    return tf.layers.conv2d_transpose(image(size=4), 4, 4, 2, "same", activation=tf.nn.relu)


@network
def conv1d() -> Any:
    x = tf.placeholder(tf.float32, [None, 12, 3])
    x = tf.layers.conv1d(x, 4, 3, 2, "same", activation=tf.nn.relu)
    return tf.layers.conv1d(x, 5, 3)


@network
def conv3d() -> Any:
    x = tf.placeholder(tf.float32, [None, 5, 6, 7, 2])
    return tf.layers.conv3d(x, 3, 3, 2, "same")


@network
def max_pool_same() -> Any:
    x = tf.layers.conv2d(image(size=10), 4, 3, padding="same")
    x = tf.layers.max_pooling2d(x, 3, 2, "same")
    return tf.layers.max_pooling2d(x, 2, 1, "same")


@network
def mean_pool_same() -> Any:
    x = tf.layers.average_pooling2d(image(size=10), 3, 2, "same")
    x = tf.layers.average_pooling2d(x, 3, 1, "same")
    return tf.layers.average_pooling2d(x, 2, 1, "same")


@network
def pool_valid() -> Any:
    x = tf.layers.max_pooling2d(image(size=10), [3, 2], 2)
    return tf.layers.average_pooling2d(x, 2, 2)


@network
def norm_fused() -> Any:
    x = tf.layers.conv2d(image(), 4, 3, use_bias=False)
    return tf.nn.relu(tf.layers.batch_normalization(x, training=training(), momentum=0.9))


@network
def norm_unfused() -> Any:
    x = tf.layers.conv2d(image(), 4, 3)
    x = tf.layers.batch_normalization(x, training=training(), fused=False, epsilon=1e-2)
    return tf.nn.elu(x)


@network
def norm_without_scale() -> Any:
    x = tf.layers.dense(rows(), 4)
    t = training()
    x = tf.layers.batch_normalization(x, training=t, scale=False)
    x = tf.layers.dense(x, 5)
    return tf.layers.batch_normalization(x, training=t, center=False, momentum=0.8)


@network
def norm_contrib_dense() -> Any:
    x = tf.contrib.layers.fully_connected(
        rows(), 4, activation_fn=tf.nn.relu, normalizer_fn=tf.contrib.layers.batch_norm,
        normalizer_params={"is_training": training(), "decay": 0.9, "scale": True},
    )  # fmt: skip
    return tf.layers.dense(x, 2)


@network
def norm_contrib_conv() -> Any:
    t = training()
    x = tf.contrib.layers.conv2d(image(), 4, 3)
    x = tf.contrib.layers.batch_norm(x, is_training=t, fused=True, decay=0.99)
    return tf.contrib.layers.batch_norm(x, is_training=t, fused=False, updates_collections=None)


@network
def norm_by_cond() -> Any:
    """The form of programs that write the two branches themselves."""
    x = tf.layers.dense(rows(), 4, use_bias=False)
    gamma, beta = tf.Variable(tf.ones([4])), tf.Variable(tf.zeros([4]))
    mean = tf.Variable(tf.zeros([4]), trainable=False, name="pop_mean")
    var = tf.Variable(tf.ones([4]), trainable=False, name="pop_var")

    def by_batch() -> Any:
        m, v = tf.nn.moments(x, [0])
        new_m = tf.assign(mean, mean * 0.9 + m * 0.1)
        new_v = tf.assign(var, var * 0.9 + v * 0.1)
        with tf.control_dependencies([new_m, new_v]):
            return tf.nn.batch_normalization(x, m, v, beta, gamma, 1e-3)

    def by_population() -> Any:
        return tf.nn.batch_normalization(x, mean, var, beta, gamma, 1e-3)

    y = tf.cond(training(), by_batch, by_population)
    return tf.nn.sigmoid(y)


@network
def norm_by_hand() -> Any:
    x = tf.layers.dense(rows(), 4)
    mean = tf.Variable(tf.zeros([4]), name="mean")
    var = tf.Variable(tf.ones([4]), name="var")
    gamma, beta = tf.Variable(tf.ones([4])), tf.Variable(tf.zeros([4]))
    return (x - mean) / tf.sqrt(var + 1e-3) * gamma + beta


@network
def norm_by_moments() -> Any:
    """The batch's own statistics, also in inference."""
    x = tf.layers.conv2d(image(), 4, 3)
    mean, var = tf.nn.moments(x, [0, 1, 2])
    gamma, beta = tf.Variable(tf.ones([4])), tf.Variable(tf.zeros([4]))
    return tf.nn.relu(tf.nn.batch_normalization(x, mean, var, beta, gamma, 1e-3))


@network
def norm_global() -> Any:
    x = tf.layers.conv2d(image(), 4, 3)
    named = [tf.Variable(tf.ones([4]), name=n) for n in ("m", "var", "b", "g")]
    return tf.nn.batch_norm_with_global_normalization(x, *named, 1e-3, True)


@network
def norm_of_constant_mode() -> Any:
    x = tf.layers.conv2d(image(), 4, 3)
    return tf.layers.batch_normalization(x, training=False)


@network
def response() -> Any:
    x = tf.layers.conv2d(image(), 7, 3)
    return tf.nn.lrn(x, 2, bias=2.0, alpha=1e-2, beta=0.75)


@network
def activations() -> Any:
    x = rows()
    parts = [f(x) for f in (tf.nn.relu, tf.nn.elu, tf.nn.selu, tf.nn.softplus, tf.nn.leaky_relu)]
    parts += [tf.nn.softsign(x), tf.nn.swish(x), tf.maximum(x, 0.1 * x), tf.exp(-x), tf.square(x)]
    return tf.concat(parts, 1)


@network
def dropout_layer() -> Any:
    t = training()
    x = tf.layers.dense(rows(), 5, activation=tf.nn.relu)
    x = tf.layers.dropout(x, 0.3, training=t)
    x = tf.layers.batch_normalization(x, training=t)
    return tf.layers.dense(x, 2)


@network
def residual_blocks() -> Any:
    t = training()

    def unit(x: Any, filters: int, stride: int) -> Any:
        y = tf.layers.conv2d(x, filters, 3, stride, "same", use_bias=False)
        y = tf.nn.relu(tf.layers.batch_normalization(y, training=t))
        y = tf.layers.conv2d(y, filters, 3, 1, "same", use_bias=False)
        y = tf.layers.batch_normalization(y, training=t)
        if stride > 1:
            x = tf.layers.conv2d(x, filters, 1, stride, "same", use_bias=False)
        return tf.nn.relu(x + y)

    x = tf.layers.conv2d(image(size=12), 8, 3, padding="same")
    for filters, stride in ((8, 1), (8, 1), (16, 2), (16, 1), (24, 2), (24, 1)):
        x = unit(x, filters, stride)
    x = tf.reduce_mean(x, [1, 2])
    return tf.layers.dense(x, 10)


@network
def inception() -> Any:
    x = image(size=12)
    a = tf.layers.conv2d(x, 4, 1, activation=tf.nn.relu)
    b = tf.layers.conv2d(x, 5, 3, padding="same", activation=tf.nn.relu)
    c = tf.layers.max_pooling2d(x, 3, 1, "same")
    return tf.layers.dense(tf.layers.flatten(tf.concat([a, b, c], 3)), 4)


@network
def padded_as_resnet() -> Any:
    x = tf.pad(image(size=12), [[0, 0], [1, 1], [1, 1], [0, 0]])
    return tf.layers.conv2d(x, 4, 3, 2, "valid")


@network
def squeeze_and_excite() -> Any:
    x = tf.layers.conv2d(image(), 6, 3)
    gate = tf.reduce_mean(x, [1, 2], keepdims=True)
    gate = tf.layers.conv2d(gate, 6, 1, activation=tf.nn.sigmoid)
    return tf.reduce_max(x * gate, [1, 2])


@network
def shared_weights() -> Any:
    x = rows()
    with tf.variable_scope("a"):
        x = tf.layers.dense(x, 6, name="same")
    with tf.variable_scope("a", reuse=True):
        x = tf.layers.dense(tf.nn.relu(x), 6, name="same")
    return tf.layers.dense(x, 2)


@network
def preprocessing() -> Any:
    x = (image() - tf.constant([0.4, 0.5, 0.6])) / 0.25
    return tf.nn.softmax(tf.layers.dense(tf.layers.flatten(x), 4))


@network
def parameters() -> Any:
    x = tf.layers.conv2d(image(), 4, 3)
    slope = tf.Variable(tf.zeros([4]), name="slope")
    return tf.nn.relu(x) + slope * (x - tf.abs(x)) * 0.5


@network
def axes_moved() -> Any:
    x = tf.layers.conv2d(image(), 4, 3)
    x = tf.transpose(x, [0, 3, 1, 2])
    return tf.reshape(x, [-1, 4, 49])[:, 1:3, :5]


@network
def two_inputs() -> Any:
    return tf.layers.dense(tf.concat([rows(), rows(4)], 1), 3)


@network
def embedded() -> Any:
    words = tf.placeholder(tf.int32, [None, 7], name="words")
    table = tf.Variable(tf.zeros([11, 5]), name="table")
    return tf.layers.dense(tf.reduce_mean(tf.nn.embedding_lookup(table, words), 1), 2)


@network
def channels_first() -> Any:
    x = tf.placeholder(tf.float32, [None, 3, 10, 8], name="image")
    x = tf.layers.conv2d(x, 4, 3, 2, "same", data_format="channels_first", use_bias=False)
    x = tf.layers.batch_normalization(x, axis=1, training=training())
    x = tf.layers.max_pooling2d(tf.nn.relu(x), 2, 2, data_format="channels_first")
    return tf.layers.dense(tf.layers.flatten(x), 3)


@network
def norm_of_large_values() -> Any:
    """Images of 0 to 255: the weight of the batch is small beside what it moves."""
    x = tf.layers.conv2d(image(size=20) * 255.0, 4, 3, use_bias=False)
    return tf.layers.batch_normalization(x, training=training(), momentum=0.999)
