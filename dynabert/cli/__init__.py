"""The command line: `python -m dynabert`, or `dynabert` once installed."""

from dynabert.cli.main import main

__all__ = ["main"]
