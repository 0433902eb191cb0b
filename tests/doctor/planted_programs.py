"""TensorFlow 1 programs with a fault: convolutional networks, batch normalization of five makes.

``PROGRAMS`` has a row for each fault and make: code, fault, make, the text, and a part of the line that
must be named. ``GOOD`` holds the same programs without a fault.
"""

HEAD = """import numpy as np
import tensorflow as tf
slim = tf.contrib.slim
x = tf.placeholder(tf.float32, [None, 8, 8, 1])
phase = tf.placeholder(tf.bool)
data = np.random.RandomState(0).rand(16, 8, 8, 1).astype("float32")
"""
LAYERS = """def block(h, size):
    h = tf.layers.conv2d(h, size, 3, use_bias=False)
    return tf.nn.relu(tf.layers.batch_normalization(h, training=phase))
"""
SLIM = """def block(h, size):
    with slim.arg_scope([slim.batch_norm], is_training=phase, decay=0.9):
        return slim.conv2d(h, size, 3, normalizer_fn=slim.batch_norm, padding="VALID")
"""
CONTRIB = """def block(h, size):
    h = tf.layers.conv2d(h, size, 3, use_bias=False)
    return tf.contrib.layers.batch_norm(h, is_training=phase, activation_fn=tf.nn.relu)
"""
OWN = """def block(h, size):
    h = tf.layers.conv2d(h, size, 3, use_bias=False)
    mean = tf.Variable(tf.zeros([size]), trainable=False)
    var = tf.Variable(tf.ones([size]), trainable=False)
    beta = tf.Variable(tf.zeros([size]))
    def by_batch():
        m, v = tf.nn.moments(h, [0, 1, 2])
        moved = [tf.assign(mean, 0.9 * mean + 0.1 * m), tf.assign(var, 0.9 * var + 0.1 * v)]
        with tf.control_dependencies(moved):
            return tf.nn.batch_normalization(h, m, v, beta, None, 1e-3)
    def by_averages():
        return tf.nn.batch_normalization(h, mean, var, beta, None, 1e-3)
    return tf.nn.relu(tf.cond(phase, by_batch, by_averages))
"""
AVERAGE = """def block(h, size):
    h = tf.layers.conv2d(h, size, 3, use_bias=False)
    m, v = tf.nn.moments(h, [0, 1, 2])
    average = tf.train.ExponentialMovingAverage(decay=0.9)
    def by_batch():
        with tf.control_dependencies([average.apply([m, v])]):
            return tf.identity(m), tf.identity(v)
    used = tf.cond(phase, by_batch, lambda: (average.average(m), average.average(v)))
    return tf.nn.relu(tf.nn.batch_normalization(h, *used, tf.Variable(tf.zeros([size])), None, 1e-3))
"""
NET = """h = block(block(x, 4), 6)
loss = tf.reduce_mean(tf.square(tf.layers.dense(tf.layers.flatten(h), 2) - 1))
"""
STEP = """with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
    step = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
"""
RUN = """sess = tf.Session()
sess.run(tf.global_variables_initializer())
for _ in range(3):
    sess.run(step, {x: data, phase: True})
sess.run(loss, {x: data, phase: False})
"""
BLOCKS = {"tf.layers": LAYERS, "slim": SLIM, "contrib.layers": CONTRIB}
OWNS = {"own, tf.cond": OWN, "own, moving average": AVERAGE}
# The line of each library's normalization.
LINES = {
    "tf.layers": "tf.layers.batch_normalization",
    "slim": "slim.conv2d",
    "contrib.layers": "batch_norm(h",
    "own, tf.cond": "(h, m, v, beta",
    "own, moving average": "(h, *used",
}
SAVE = "tf.train.Saver(tf.trainable_variables()).save(sess, './model')\n"
VARIABLE = "tf.identity(tf.Variable(False, trainable=False, name='is_training'))"
BARE = """w = tf.Variable(tf.truncated_normal([3, 3, 1, 4], stddev=0.1))
h = tf.nn.conv2d(x, w, [1, 1, 1, 1], "VALID")
h = NORM
loss = tf.reduce_mean(tf.square(tf.layers.dense(tf.layers.flatten(h), 2) - 1))
valid = tf.nn.relu(tf.nn.conv2d(tf.constant(data), w, [1, 1, 1, 1], "VALID"))
"""
NORMS = {
    "tf.layers": "tf.nn.relu(tf.layers.batch_normalization(h, training=phase))",
    "contrib.layers": "tf.contrib.layers.batch_norm(h, is_training=phase)",
    "moments": "tf.nn.batch_normalization(h, *tf.nn.moments(h, [0, 1, 2]), None, None, 1e-3)",
}


def program(block: str, *, net: str = NET, step: str = STEP, run: str = RUN) -> str:
    return HEAD + block + net + step + run


def _moving(library: str) -> str:
    """The line whose updates a program forgets."""
    return {"own, tf.cond": "moved = [", "own, moving average": "average.apply"}.get(
        library, LINES[library]
    )


def _forgotten(library: str, block: str) -> str:
    """A program that makes the updates and runs none."""
    if library in BLOCKS:
        return program(block, step=STEP.splitlines()[1].strip() + "\n")
    lost = block.replace("with tf.control_dependencies(moved):", "if moved:")
    return program(
        lost.replace(
            "with tf.control_dependencies([average.apply([m, v])]):", "if average.apply([m, v]):"
        )
    )


EVERY = BLOCKS | OWNS
GOOD = [(library, program(block)) for library, block in EVERY.items()]
EARLY = "early = tf.get_collection(tf.GraphKeys.UPDATE_OPS)\n"
FLAGS = {"fed False in training": "True}", "fed True in evaluation": "False}"}
PROGRAMS = [
    *(
        ("EK601", "updates never run", lib, _forgotten(lib, b), _moving(lib))
        for lib, b in EVERY.items()
    ),
    *(
        (
            "EK602",
            "updates run by others too",
            lib,
            program(b) + "sess.run(tf.get_collection('update_ops'), {x: data, phase: True})\n",
            LINES[lib],
        )
        for lib, b in BLOCKS.items()
    ),
    *(
        (
            "EK603",
            "updates gathered early",
            lib,
            program(
                b,
                net=NET.replace(
                    "h = block(block(x, 4), 6)\n", f"h = block(x, 4)\n{EARLY}h = block(h, 6)\n"
                ),
                step=STEP.replace("tf.get_collection(tf.GraphKeys.UPDATE_OPS)", "early"),
            ),
            "early =",
        )
        for lib, b in BLOCKS.items()
    ),
    *(
        (
            "EK604",
            how,
            lib,
            program(b, run=RUN.replace(old, "False}" if old == "True}" else "True}")),
            LINES[lib],
        )
        for how, old in FLAGS.items()
        for lib, b in EVERY.items()
    ),
    *(
        ("EK605", "training mode fixed", lib, program(b.replace("phase", true)), LINES[lib])
        for lib, b, true in (
            *((lib, b, "True") for lib, b in BLOCKS.items()),
            *((lib, b, "tf.constant(True)") for lib, b in OWNS.items()),
        )
    ),
    *(
        (
            "EK606",
            "mode never set",
            lib,
            program(b, run=RUN.replace(", phase: True", "").replace(", phase: False", "")).replace(
                "tf.placeholder(tf.bool)", VARIABLE
            ),
            LINES[lib],
        )
        for lib, b in EVERY.items()
    ),
    *(
        (
            "EK607",
            "validation without",
            lib,
            program("", net=BARE.replace("NORM", norm), run=RUN + "sess.run(valid)\n").replace(
                "sess.run(loss, {x: data, phase: False})\n",
                "" if lib == "moments" else "sess.run(loss, {x: data, phase: False})\n",
            ),
            "valid =",
        )
        for lib, norm in NORMS.items()
    ),
    *(
        ("EK608", "saver without averages", lib, program(b) + SAVE, "Saver")
        for lib, b in EVERY.items()
    ),
]
