"""Notebooks: the code cells in order, what IPython alone understands, and errors that name the cell."""

import json
from pathlib import Path

import pytest

from evenkeel.errors import BadData
from evenkeel.tf1 import stacks
from evenkeel.tf1.program.check import check_program
from evenkeel.tf1.program.launch import run_program
from evenkeel.tf1.program.notebook import cells


def written(folder: Path, *codes: str) -> Path:
    rows: list[dict[str, object]] = [{"cell_type": "markdown", "source": ["# a title"]}]
    rows += [{"cell_type": "code", "source": code.splitlines(keepends=True)} for code in codes]
    file = folder / "train.ipynb"
    file.write_text(json.dumps({"nbformat": 4, "cells": rows}))
    return file


def test_cells_run_in_order_in_one_namespace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(
        tmp_path,
        "%matplotlib inline\nimport tensorflow as tf\n!pip install tensorflow==1.15",
        "%%time\nx = tf.constant([1.0, 2.0])",
        "%%html\n<b>not Python</b>",
        'text = """\n%not a command\n"""\n%time y = x * 2.0',
        "with tf.Session() as sess:\n    print(sess.run(y), __name__, len(text))\ndisplay(1)",
    )
    assert run_program(file) == 0
    stacks.reset_default_graph()
    shown = capsys.readouterr()
    assert shown.out == "[2. 4.] __main__ 16\n1\n"
    assert shown.err.splitlines() == [
        "evenkeel: train.ipynb cell 1:1: %matplotlib inline is left out",
        "evenkeel: train.ipynb cell 1:3: !pip install tensorflow==1.15 is left out",
        "evenkeel: train.ipynb cell 2: %%time is left out",
        "evenkeel: train.ipynb cell 3: %%html is left out",
    ]


def test_an_error_names_cell_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, "def f():\n    return 1 / 0", "x = 1\n\nf()")
    assert run_program(file) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[1:5:2] == [
        '  File "train.ipynb cell 2", line 3, in <module>',
        '  File "train.ipynb cell 1", line 2, in f',
    ]
    assert lines[2:5:2] == ["    f()", "    return 1 / 0"]


@pytest.mark.parametrize(
    "code",
    ["%cd data", "files = !ls", "x = %env", "%%bash\nls", "%%writefile model.py\nx = 1", "%pylab"],
)
def test_a_command_that_may_be_needed_is_refused(tmp_path: Path, code: str) -> None:
    file = written(tmp_path, "x = 1", code)
    with pytest.raises(BadData, match=r"train\.ipynb cell 2:1"):
        run_program(file)


def test_older_formats_and_what_is_no_notebook() -> None:
    old = {"worksheets": [{"cells": [{"cell_type": "code", "input": ["x = 1"]}]}]}
    assert [cell.code for cell in cells("a.ipynb", json.dumps(old).encode())] == ["x = 1\n"]
    with pytest.raises(BadData, match="no JSON"):
        cells("a.ipynb", b"x = 1")
    source = '{"cells": [{"cell_type": "code", "source": 5}]}'
    for data in ("[]", '{"cells": 3}', '{"cells": [{"cell_type": "code"}]}', source):
        with pytest.raises(BadData, match="without the cells of a notebook"):
            cells("a.ipynb", data.encode())


def test_check_names_the_cell(tmp_path: Path) -> None:
    file = written(tmp_path, "import tensorflow as tf", "y = 1\nx = tf.reduce_meen([1.0])")
    (lack,) = check_program(file).lacks
    assert str(lack).startswith("train.ipynb cell 2:2: tf.reduce_meen is missing")
