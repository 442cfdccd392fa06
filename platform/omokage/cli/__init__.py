"""The command line."""

from omokage.cli.main import main

__all__ = ["main"]
