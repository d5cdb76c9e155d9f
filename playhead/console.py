"""How the command line speaks: lines to stdout, failures to stderr; colours and bars only where there is a terminal."""

import typer
from rich.console import Console

out = Console()
err = Console(stderr=True)
WIDTH_OF_FILES = 140
if not out.is_terminal:
    out.width = WIDTH_OF_FILES  # where nothing tells how wide it is, tables are not cut off at 80 columns


def say(line: str) -> None:
    """One line, as it is."""
    out.print(line, highlight=False, markup=False, soft_wrap=True)


def fail(message: str) -> typer.Exit:
    """Print what went wrong and what to do; raise the result."""
    err.print(message, style="red", highlight=False, markup=False, soft_wrap=True)
    return typer.Exit(1)
