"""``python -m evenkeel``: the command, for launchers that start modules."""

from evenkeel.cli import main

if __name__ == "__main__":
    main()
