"""SavedModels of an Estimator: what is written, when, and that it gives the model's numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evenkeel.tf1 as tf

X = np.arange(12, dtype=np.float32).reshape(6, 2) / 10
Y = X.sum(1)


def model_fn(features: Any, labels: Any, mode: str) -> Any:
    guess = tf.layers.dense(features["x"], 1, name="only")[:, 0]
    predictions = {"guess": guess, "twice": guess * 2.0}
    if mode == tf.estimator.ModeKeys.PREDICT:
        outputs = {"main": tf.estimator.export.PredictOutput(predictions)}
        return tf.estimator.EstimatorSpec(mode, predictions=predictions, export_outputs=outputs)
    loss = tf.reduce_mean(tf.square(guess - labels))
    train = tf.train.GradientDescentOptimizer(0.1).minimize(loss, tf.train.get_global_step())
    return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train)


def data() -> Any:
    return tf.data.Dataset.from_tensor_slices(({"x": X}, Y)).repeat(20).batch(6)


def receiver() -> Any:
    x = tf.placeholder(tf.float32, [None, 2], name="given")
    return tf.estimator.export.ServingInputReceiver({"x": x}, {"x": x})


@pytest.fixture
def estimator(tmp_path: Path) -> Any:
    config = tf.estimator.RunConfig(
        str(tmp_path / "model"), tf_random_seed=3, save_checkpoints_steps=4
    )
    return tf.estimator.Estimator(model_fn, config=config)


def loaded(folder: Any, feeds: Any) -> Any:
    path = folder.decode() if isinstance(folder, bytes) else str(folder)
    with tf.Graph().as_default(), tf.Session() as session:
        graph = tf.saved_model.loader.load(session, ["serve"], path)
        signature = graph.signature_def["serving_default"]
        names = {k: v.name for k, v in signature.outputs.items()}
        return session.run(names, {signature.inputs[k].name: v for k, v in feeds.items()})


def test_a_saved_model_gives_the_models_numbers(estimator: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="trained model"):
        estimator.export_saved_model(str(tmp_path / "out"), receiver)
    estimator.train(data, steps=5)
    extra = tmp_path / "notes.txt"
    extra.write_text("notes")
    path = estimator.export_saved_model(str(tmp_path / "out"), receiver, {"deep/n.txt": str(extra)})
    place = Path(path.decode())
    assert place.parent == tmp_path / "out"
    assert [p.name for p in place.parent.iterdir()] == [place.name]
    assert (place / "assets.extra" / "deep" / "n.txt").read_text() == "notes"
    expected = [p["guess"] for p in estimator.predict(lambda: data().take(1))]
    found = loaded(path, {"x": X})
    np.testing.assert_allclose(found["guess"], expected, rtol=1e-6)
    np.testing.assert_allclose(found["twice"], 2 * np.array(expected), rtol=1e-6)
    with pytest.raises(ValueError, match="input_receiver_fn"):
        estimator.export_saved_model(str(tmp_path / "out"), None)


def test_a_parsing_receiver_takes_serialized_examples(estimator: Any, tmp_path: Path) -> None:
    estimator.train(data, steps=1)
    spec = {"x": tf.FixedLenFeature([2], tf.float32)}
    fn = tf.estimator.export.build_parsing_serving_input_receiver_fn(spec)
    path = estimator.export_saved_model(str(tmp_path / "out"), fn)
    values = tf.train.FloatList(value=[0.5, 0.25])
    feature = {"x": tf.train.Feature(float_list=values)}
    example = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
    found = loaded(path, {"examples": [example]})
    kernel, bias = (estimator.get_variable_value(f"only/{n}") for n in ("kernel", "bias"))
    np.testing.assert_allclose(found["guess"], [[0.5, 0.25] @ kernel[:, 0] + bias[0]], rtol=1e-6)


def test_exporters_write_when_they_should(estimator: Any) -> None:
    latest = tf.estimator.LatestExporter("latest", receiver, exports_to_keep=1)
    final, best = (
        tf.estimator.FinalExporter("final", receiver),
        tf.estimator.BestExporter("best", receiver),
    )
    metrics, exports = tf.estimator.train_and_evaluate(
        estimator,
        tf.estimator.TrainSpec(data, max_steps=8),
        tf.estimator.EvalSpec(data, steps=1, throttle_secs=0, exporters=[latest, final, best]),
    )
    assert metrics["global_step"] == 8
    assert [e is not None for e in exports] == [True, True, True]
    base = Path(estimator.model_dir) / "export"
    counts = {p.name: len(list(p.iterdir())) for p in base.iterdir()}
    # The first evaluation is in the event files when they are read, so it is not better than the best.
    assert counts == {"latest": 1, "final": 1, "best": 1}
    again = tf.estimator.BestExporter("best", receiver)
    worse = {"loss": 1e9, "global_step": 8}
    assert (
        again.export(estimator, str(base / "best"), estimator.latest_checkpoint(), worse, False)
        is None
    )


@pytest.mark.parametrize("exporters", [[3], 3])
def test_what_is_no_exporter_is_refused(exporters: Any) -> None:
    with pytest.raises(TypeError, match="exporters"):
        tf.estimator.EvalSpec(data, exporters=exporters)
    with pytest.raises(ValueError, match="unique names"):
        twice = [tf.estimator.FinalExporter("a", receiver) for _ in range(2)]
        tf.estimator.EvalSpec(data, exporters=twice)


def test_canned_estimators_and_clusters_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AttributeError, match="DNNClassifier"):
        tf.estimator.DNNClassifier  # noqa: B018  # asking is the test
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a"]}}')
    with pytest.raises(ValueError, match="cluster"):
        tf.estimator.RunConfig()
