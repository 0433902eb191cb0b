"""A program under run: what it sees of itself, how it ends, and what is put back."""

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evenkeel.errors import BadOption
from evenkeel.tf1 import program, session
from evenkeel.tf1.program.launch import run_program

Run = Callable[..., Any]  # conftest's Ended: status, out, err


def test_a_program_sees_what_python_shows_it(run: Run, tmp_path: Path) -> None:
    Path("helper.py").write_text("def double(x):\n    return 2 * x\n")
    ended = run(
        "import sys, os, helper\n"
        "print(__name__, __file__, sys.argv, sys.path[0], os.getcwd(), helper.double(2))\n"
        "print(sys.modules['__main__'].__dict__ is globals())\n",
        "--steps",
        "3",
    )
    file = tmp_path / "train.py"
    assert ended.out.splitlines() == [
        f"__main__ {file} ['train.py', '--steps', '3'] {tmp_path} {tmp_path} 4",
        "True",
    ]
    assert ended.status == 0


def test_what_the_run_borrowed_is_put_back(run: Run) -> None:
    main, argv, folders = sys.modules["__main__"], list(sys.argv), list(sys.path)
    finders, filters = list(sys.meta_path), list(warnings.filters)
    Path("helper.py").write_text("")
    run(
        "import helper, sys, warnings, tensorflow, numpy as np\n"
        "warnings.simplefilter('ignore')\nnp.float\nsys.path.append('x')\n1 / 0\n"
    )
    assert sys.modules["__main__"] is main
    assert (sys.argv, sys.path) == (argv, folders)
    assert (sys.meta_path, warnings.filters) == (finders, filters)
    assert not {"helper", "tensorflow"} & sys.modules.keys()
    assert not program.legacy_positional_xent
    with pytest.raises(AttributeError):
        getattr(np, "float")  # noqa: B009  # mypy knows that it is gone


def test_the_old_order_holds_while_a_program_runs(run: Run) -> None:
    text = "from evenkeel.tf1 import program\nprint(program.legacy_positional_xent)\n"
    assert run(text).out == "True\n"


CROSS_ENTROPY = """
import tensorflow as tf
logits, labels = tf.constant([[2.0, 0.0], [0.0, 1.0]]), tf.constant([[1.0, 0.0], [1.0, 0.0]])
old = tf.nn.softmax_cross_entropy_with_logits({arguments})
print(tf.Session().run(old).tolist())
"""


def test_a_cross_entropy_without_names_is_taken_in_the_old_order(run: Run) -> None:
    positional = run(CROSS_ENTROPY.format(arguments="logits, labels") * 2)
    named = run(CROSS_ENTROPY.format(arguments="labels=labels, logits=logits"))
    assert positional.out == named.out * 2 != ""
    assert positional.err.count("softmax_cross_entropy_with_logits(logits, labels)") == 1
    assert not named.err


def test_elsewhere_a_cross_entropy_without_names_is_refused() -> None:
    import evenkeel.tf1 as tf

    with tf.Graph().as_default(), pytest.raises(ValueError, match="named arguments"):
        tf.nn.softmax_cross_entropy_with_logits([[1.0]], [[1.0]])


@pytest.mark.parametrize(
    ("text", "status"), [("import sys; sys.exit(7)", 7), ("raise SystemExit", None), ("", 0)]
)
def test_exit_codes_pass(run: Run, text: str, status: object) -> None:
    assert run(text).status == status


def test_an_interrupt_passes(run: Run) -> None:
    with pytest.raises(KeyboardInterrupt):
        run("raise KeyboardInterrupt")


def test_an_exception_shows_the_programs_frames_alone(run: Run) -> None:
    Path("model.py").write_text(
        "import tensorflow as tf\n\ndef build(x):\n    return tf.reshape(x, [3, 3])\n"
    )
    ended = run(
        "import tensorflow as tf, model\n\n\n"
        "def train():\n    model.build(tf.zeros([2, 2]))\n\ntrain()\n"
    )
    lines = ended.err.splitlines()
    assert ended.status == 1
    assert lines[0] == "Traceback (most recent call last):"
    places = [line.split(", in")[0].strip() for line in lines if line.startswith("  File")]
    assert places[:2] == ['File "train.py", line 7', 'File "train.py", line 5']
    assert places[2].endswith('model.py", line 4')
    assert len(places) == 3
    assert lines[-1].startswith("ValueError: ")


def test_debugging_shows_every_frame(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENKEEL_DEBUG", "1")
    assert "launch.py" in run("1 / 0").err


def test_causes_are_shown_where_they_are_the_programs(run: Run) -> None:
    ended = run("try:\n    {}['a']\nexcept KeyError as e:\n    raise ValueError('worse') from e\n")
    assert "KeyError: 'a'" in ended.err
    assert ended.err.endswith("ValueError: worse\n")


@pytest.mark.parametrize(
    "text",
    [
        "import os\nprint 'hello'\n",
        "import os\nprint 'a %d' % 3, x\n",
        "import os\nexec 'x = 1'\n",
        "try:\n    pass\nexcept ValueError, e:\n    pass\n",
        "x = 1\nraise ValueError, 'a'\n",
    ],
)
def test_a_python_2_program_gets_one_line(run: Run, text: str) -> None:
    ended = run(text)
    line = 3 if "except" in text else 2
    assert ended.status == 1
    assert ended.err.startswith(f"train.py:{line}: this is a Python 2 program (")
    assert ended.err.count("\n") == 1


def test_any_other_syntax_error_is_pythons(run: Run) -> None:
    ended = run("x = (1,\n")
    assert ended.err.splitlines()[-1] == "SyntaxError: '(' was never closed"
    assert "Python 2" not in ended.err


def test_names_that_numpy_had(run: Run) -> None:
    ended = run(
        "import numpy as np\n"
        "print(np.zeros(2, dtype=np.float).dtype, np.int is int, np.object is object)\n"
        "print(np.unicode is str, np.float_ is np.float64, np.Inf, np.product([2, 3]))\n"
        "try:\n    np.nonsense\nexcept AttributeError as e:\n    print('no', 'nonsense' in str(e))\n"
    )
    assert ended.out.splitlines() == ["float64 True True", "True True inf 6", "no True"]
    notice = "train.py:2: np.float is gone from NumPy; provided for this run"
    assert ended.err == f"evenkeel: {notice}\n"


def test_libraries_get_numpys_own_answer(run: Run) -> None:
    ended = run(
        "import numpy as np, unittest.mock\n"
        "code = compile('asked = hasattr(np, \"float\")', unittest.mock.__file__, 'exec')\n"
        "exec(code)\nprint(asked)\n"
    )
    assert (ended.out, ended.err) == ("False\n", "")


def test_a_tensorflow_beside_the_program_is_not_taken(run: Run) -> None:
    Path("tensorflow.py").write_text("raise SystemError")
    ended = run(
        "from tensorflow.python.ops import control_flow_ops as c\nprint(c.group.__module__)\n"
    )
    assert ended.out.startswith("evenkeel.tf1.")


def test_classes_of_the_program_can_be_pickled(run: Run) -> None:
    text = "import pickle\nclass A:\n    x = 3\nprint(pickle.loads(pickle.dumps(A())).x)\n"
    assert run(text).out == "3\n"


def test_old_escapes_are_silent(run: Run) -> None:
    assert run(r"import re; print(re.match('\d', '1') is not None, 1 is 1)").err == ""


def test_what_cannot_be_run(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="No such file"):
        run_program(tmp_path / "nothing.py")
    (tmp_path / "a.py").write_text("")
    for device in ("nonsense", "cuda:99"):
        with pytest.raises(BadOption, match="no such device"):
            run_program(tmp_path / "a.py", device=device)


def test_the_device_is_that_of_sessions_and_is_put_back(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "device.py"
    file.write_text("import tensorflow as tf\nprint(tf.Session().state.device)\n")
    run_program(file, device="meta")
    assert capsys.readouterr().out == "meta\n"
    assert session._device == ["cpu"]


def test_frames_of_generated_code_are_not_shown(run: Run) -> None:
    ended = run("import tensorflow as tf\nv = tf.Variable(1.0)\ntf.Session().run(v)\n")
    assert ended.err.count("Traceback") == 1
    assert "<eval_with_key>" not in ended.err


def test_an_option_that_is_not_there() -> None:
    with pytest.raises(BadOption, match=r"no such option\n  got: --devic"):
        run_program("--devic", ["cpu", "train.py"])
