"""What does the work of parts of TensorFlow 1 that are not here, by the longest name that fits."""

_INSTEAD = {
    "contrib.crf": "torchcrf does the same in PyTorch",
    "contrib.data": "tf.data.Dataset has taken its place",
    "contrib.distribute": "one device: torch.nn.parallel with evenkeel.SyncBatchNorm for several",
    "contrib.eager": "this dialect builds graphs; PyTorch itself runs eagerly",
    "contrib.estimator": "tf.estimator.Estimator, or a session's loop",
    "contrib.factorization": "scikit-learn's KMeans; TFLearn's is not in the dialect",
    "contrib.gan": "write both losses with tf.losses and two optimizers",
    "contrib.image": "tf.image, or numpy before feeding",
    "contrib.keras": "tf.layers",
    "contrib.learn": "tf.estimator.Estimator, or a session's loop",
    "contrib.legacy_seq2seq": "tf.nn.static_rnn for each side",
    "contrib.lookup": "a dict before feeding",
    "contrib.metrics": "tf.metrics",
    "contrib.opt": "an optimizer of tf.train",
    "contrib.seq2seq": "tf.nn.static_rnn for each side, or torch.nn.Transformer",
    "contrib.signal": "torch.stft",
    "contrib.summary": "tf.summary",
    "contrib.tensor_forest": "scikit-learn's RandomForestClassifier, RandomForestRegressor and KMeans; "
    "tflearn.estimators is not in the dialect",
    "contrib.tensorboard": "tf.summary",
    "contrib.tpu": "run with --device cuda",
    "contrib.training": "tf.contrib.training.create_train_op, or a session's loop",
    "complex_abs": "tf.abs, as since TensorFlow 1.0",
    "distribute": "one device: torch.nn.parallel with evenkeel.SyncBatchNorm for several",
    "distributions": "torch.distributions",
    "enable_eager_execution": "this dialect builds graphs; PyTorch itself runs eagerly",
    "feature_column": "numpy arrays fed to placeholders",
    "function": "this dialect builds graphs; call the Python function itself",
    "GradientTape": "tf.gradients",
    "histogram_summary": "tf.summary.histogram, as since TensorFlow 1.0",
    "image.decode_image": "PIL.Image.open before feeding",
    "image_summary": "tf.summary.image, as since TensorFlow 1.0",
    "inv": "tf.reciprocal, as since TensorFlow 1.0",
    "keras": "tf.layers builds the same networks",
    "keras.layers": "tf.layers",
    "keras.optimizers": "tf.train",
    "merge_all_summaries": "tf.summary.merge_all, as since TensorFlow 1.0",
    "models": "the program's own copy of the models' repository beside it",
    "mul": "tf.multiply, as since TensorFlow 1.0",
    "neg": "tf.negative, as since TensorFlow 1.0",
    "nn.ctc_loss": "torch.nn.functional.ctc_loss",
    "nn.nce_loss": "tf.nn.sparse_softmax_cross_entropy_with_logits over all classes",
    "nn.sampled_softmax_loss": "tf.nn.sparse_softmax_cross_entropy_with_logits over all classes",
    "pack": "tf.stack, as since TensorFlow 1.0",
    "profiler": "python -m cProfile",
    "python.client.timeline": "torch.profiler",
    "python.debug": "print what session.run gives",
    "scalar_summary": "tf.summary.scalar, as since TensorFlow 1.0",
    "select": "tf.where, as since TensorFlow 1.0",
    "sparse": "dense tensors",
    "SparseTensor": "a dense tensor",
    "batch_matmul": "tf.matmul, as since TensorFlow 1.0",
    "sparse_placeholder": "a dense placeholder",
    "sparse_tensor_dense_matmul": "tf.matmul on dense tensors",
    "string_input_producer": "numpy arrays fed to placeholders",
    "sub": "tf.subtract, as since TensorFlow 1.0",
    "train.ClusterSpec": "one process",
    "train.Server": "one process",
    "train.SummaryWriter": "tf.summary.FileWriter, as since TensorFlow 1.0",
    "train.SyncReplicasOptimizer": "one process",
    "unpack": "tf.unstack, as since TensorFlow 1.0",
}


def equivalent(full: str) -> str:
    """What to write instead of ``tf.a.b``; empty where nothing is known.

    >>> equivalent("tf.contrib.crf.crf_log_likelihood")
    'instead: torchcrf does the same in PyTorch'
    """
    name = full.removeprefix("tf.")
    while name:
        if name in _INSTEAD:
            return f"instead: {_INSTEAD[name]}"
        name = name.rpartition(".")[0]
    return ""
