"""Records what real TensorFlow 1.15 says of the cases. usage: oracle.py TF115_SH [CASE ...]"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CASES = HERE / "cases"
RECORDED = HERE.parent / "recorded" / "tf1"


def recorded(case: str) -> dict[str, Any]:
    """What TensorFlow said of a case."""
    found: dict[str, Any] = json.loads((RECORDED / f"{case}.json").read_text())
    return found


def ask(tf115: Path, case: Path) -> dict[str, Any]:
    """What TensorFlow says of a case now."""
    command = [str(tf115), str(HERE / "snippet.py"), "tensorflow", str(case)]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def main() -> None:
    """Record the cases named, or all."""
    names = sys.argv[2:] or sorted(p.stem for p in CASES.glob("*.txt"))
    for name in names:
        answer = ask(Path(sys.argv[1]), CASES / f"{name}.txt")
        (RECORDED / f"{name}.json").write_text(json.dumps(answer, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
