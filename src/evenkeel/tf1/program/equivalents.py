"""What does the work of parts of TensorFlow 1 that are not here, by the longest name that fits."""

_INSTEAD = {
    "contrib.crf": "torchcrf does the same in PyTorch",
    "contrib.data": "tf.data.Dataset has taken its place",
    "contrib.distribute": "one device: torch.nn.parallel with evenkeel.SyncBatchNorm for several",
    "contrib.eager": "this dialect builds graphs; PyTorch itself runs eagerly",
    "contrib.estimator": "tf.estimator.Estimator, or a session's loop",
    "contrib.factorization": "scikit-learn's KMeans, or a loop over tf.matmul",
    "contrib.gan": "write both losses with tf.losses and two optimizers",
    "contrib.image": "tf.image, or numpy before feeding",
    "contrib.keras": "tf.layers",
    "contrib.learn": "tf.estimator.Estimator, or a session's loop",
    "contrib.legacy_seq2seq": "torch.nn.LSTM; recurrent layers are not in the dialect",
    "contrib.lookup": "a dict before feeding",
    "contrib.metrics": "tf.metrics",
    "contrib.opt": "an optimizer of tf.train",
    "contrib.rnn": "torch.nn.LSTM; recurrent layers are not in the dialect",
    "contrib.seq2seq": "torch.nn.Transformer; recurrent layers are not in the dialect",
    "contrib.signal": "torch.stft",
    "contrib.summary": "tf.summary",
    "contrib.tensorboard": "tf.summary",
    "contrib.tpu": "run with --device cuda",
    "contrib.training": "tf.contrib.training.create_train_op, or a session's loop",
    "decode_csv": "numpy.loadtxt before feeding",
    "distribute": "one device: torch.nn.parallel with evenkeel.SyncBatchNorm for several",
    "distributions": "torch.distributions",
    "enable_eager_execution": "this dialect builds graphs; PyTorch itself runs eagerly",
    "feature_column": "numpy arrays fed to placeholders",
    "function": "this dialect builds graphs; call the Python function itself",
    "GradientTape": "tf.gradients",
    "image.decode_image": "PIL.Image.open before feeding",
    "image.decode_jpeg": "PIL.Image.open before feeding",
    "image.decode_png": "PIL.Image.open before feeding",
    "io.gfile": "tf.gfile, or open()",
    "keras": "tf.layers builds the same networks",
    "keras.layers": "tf.layers",
    "keras.optimizers": "tf.train",
    "matrix_band_part": "tf.where with a mask made by numpy.triu",
    "models": "the program's own copy of the models' repository beside it",
    "nn.bidirectional_dynamic_rnn": "torch.nn.LSTM(bidirectional=True)",
    "nn.ctc_loss": "torch.nn.functional.ctc_loss",
    "nn.dynamic_rnn": "torch.nn.LSTM; recurrent layers are not in the dialect",
    "nn.nce_loss": "tf.nn.sparse_softmax_cross_entropy_with_logits over all classes",
    "nn.rnn_cell": "torch.nn.LSTM; recurrent layers are not in the dialect",
    "nn.sampled_softmax_loss": "tf.nn.sparse_softmax_cross_entropy_with_logits over all classes",
    "nn.static_rnn": "torch.nn.LSTM; recurrent layers are not in the dialect",
    "profiler": "python -m cProfile",
    "python.client.timeline": "torch.profiler",
    "python.debug": "print what session.run gives",
    "python_io": "numpy arrays fed to placeholders",
    "saved_model": "tf.train.Saver",
    "sparse": "dense tensors",
    "SparseTensor": "a dense tensor",
    "sparse_placeholder": "a dense placeholder",
    "sparse_tensor_dense_matmul": "tf.matmul on dense tensors",
    "string_input_producer": "numpy arrays fed to placeholders",
    "TFRecordReader": "numpy arrays fed to placeholders",
    "TextLineReader": "numpy arrays fed to placeholders",
    "train.ClusterSpec": "one process",
    "train.MonitoredSession": "tf.Session, tf.train.Saver",
    "train.MonitoredTrainingSession": "tf.Session, tf.train.Saver",
    "train.Server": "one process",
    "train.Supervisor": "tf.Session, tf.train.Saver",
    "train.SyncReplicasOptimizer": "one process",
    "train.batch": "numpy arrays fed to placeholders",
    "train.shuffle_batch": "numpy arrays fed to placeholders",
    "train.slice_input_producer": "numpy arrays fed to placeholders",
    "train.string_input_producer": "numpy arrays fed to placeholders",
}


def equivalent(full: str) -> str:
    """What to write instead of ``tf.a.b``; empty where nothing is known.

    >>> equivalent("tf.nn.rnn_cell.BasicLSTMCell")
    'instead: torch.nn.LSTM; recurrent layers are not in the dialect'
    """
    name = full.removeprefix("tf.")
    while name:
        if name in _INSTEAD:
            return f"instead: {_INSTEAD[name]}"
        name = name.rpartition(".")[0]
    return ""
