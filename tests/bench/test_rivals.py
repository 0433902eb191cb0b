import pytest

from evenkeel.bench import rivals
from evenkeel.bench.rivals import RIVALS, chosen
from evenkeel.errors import BadOption, UnknownName


def test_a_missing_rival_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals, "find_spec", lambda _: None)
    here, left_out = chosen("torch,jax,tensorflow", quick=False)
    assert list(here) == ["torch"]
    assert left_out == {"jax": "jax is not installed", "tensorflow": "tensorflow is not installed"}


def test_without_a_compiler_there_is_no_torch_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "")
    assert "C++ compiler" in RIVALS["compile"].missing()


def test_quick_asks_torch_alone_unless_told() -> None:
    here, left_out = chosen(None, quick=True)
    assert list(here) == ["torch"]
    assert left_out["compile"] == "not asked for by --quick"
    assert "float32" in chosen("float32", quick=True)[0]


def test_bad_lists() -> None:
    with pytest.raises(UnknownName, match="no rival is called 'touch'"):
        chosen("touch", quick=False)
    with pytest.raises(BadOption):
        chosen(" , ", quick=False)
