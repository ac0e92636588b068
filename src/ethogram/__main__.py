"""`python -m ethogram` is the command `ethogram`."""

from ethogram.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
