"""The pages of docs/doctor/, made from the rules: `python tests/doctor/pages.py` writes them anew."""

from pathlib import Path

from evenkeel.doctor import RULES
from evenkeel.doctor.rules import Rule

FOLDER = Path(__file__).parents[2] / "docs" / "doctor"
FAMILIES = {
    "1": "Statistics",
    "2": "Mode",
    "3": "Structure",
    "4": "Numbers",
    "5": "Workers",
    "6": "TensorFlow 1 programs",
    "7": "Checkpoints",
}


def page(rule: Rule) -> str:
    title, _, rest = rule.page.strip().partition("\n")
    fix = "`finding.fix(model, batches)` does it." if rule.repair else "By hand: no program can."
    return (
        f"# {rule.code} {rule.name}\n\n{title}\n\n```text\n{rest.strip()}\n```\n\nFix: {fix}\n\n"
        f"Shown again by `evenkeel doctor --explain {rule.code}`; left out with "
        f"`--ignore {rule.code}`, or for one layer with `# evenkeel: ignore[{rule.code}]` where it"
        " is built.\n"
    )


def index() -> str:
    lines = [
        "# The rules of `evenkeel doctor`\n",
        "Each page says what is measured, from which number on it is a finding, why, and what to do.",
        "The pages are the rules' own docstrings; `python tests/doctor/pages.py` writes them.\n",
        "[planted.md](planted.md) shows faults planted in real networks, and what was reported.",
    ]
    for digit, family in FAMILIES.items():
        lines += [f"\n## {family}\n", "| code | |", "|---|---|"]
        own = [rule for rule in RULES.values() if rule.code[2] == digit]
        lines += [
            f"| [{r.code}]({r.code}.md) | {r.title} |" for r in sorted(own, key=lambda r: r.code)
        ]
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    return {"README.md": index(), **{f"{r.code}.md": page(r) for r in RULES.values()}}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text)
