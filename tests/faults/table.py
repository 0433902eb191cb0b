"""The table of docs/sync_faults.md: `PYTHONPATH=tests python -m faults.table [times]`."""

import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from faults.cases import CASES, complaints
from faults.ranks import PHASES, Fault
from faults.starting import End, ended

AT_ONCE = 4


def row(fault: Fault, ends: list[End]) -> str:
    """What the other ranks said, and when."""
    told = [end for end in ends if end.error == "RanksDiffer"]
    first = Counter(end.text.splitlines()[0] for end in told).most_common(1)
    seconds = [end.seconds for end in told]
    around = "DDP" if fault.ddp else "in halves" if fault.halves else ""
    around += ", gloo" * (not fault.mailbox) if around else "gloo" * (not fault.mailbox)
    inside = " (inside)" if fault.inside else ""
    phase = PHASES[fault.at] + inside if str(fault).startswith(f"{fault.kind} ") else ""
    said = first[0][0] if first else ""
    span = f"{min(seconds):.1f} to {max(seconds):.1f}" if seconds else ""
    who = f"rank {fault.victim} of {fault.world}"
    return f"| {fault.kind} | {who} | {phase} | {around} | {len(told)}: {said} | {span} |"


def main() -> None:
    """Every fault so often, and one row of the last of each."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    bad = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for fault in CASES:
            found = list(pool.map(ended, [fault] * times))
            wrong = [said for ends in found for said in complaints(fault, ends)]
            bad += len(wrong)
            sys.stdout.write(f"{row(fault, found[-1])}\n")
            sys.stdout.writelines(f"    {said}\n" for said in wrong)
            sys.stdout.flush()
    sys.stdout.write(f"{len(CASES)} faults, {times} times each: {bad} complaints\n")


if __name__ == "__main__":
    main()
