"""``python -m omokage``."""

from omokage.cli import main

if __name__ == "__main__":
    main()
