"""How the command line speaks: lines to stdout, failures to stderr; colours and bars only where there is a terminal."""

import typer
from rich.console import Console

out = Console()
err = Console(stderr=True)


def say(line: str) -> None:
    """One line, as it is."""
    out.print(line, highlight=False, markup=False, soft_wrap=True)


def fail(message: str) -> typer.Exit:
    """Print what went wrong and what to do; raise the result."""
    err.print(message, style="red", highlight=False, markup=False, soft_wrap=True)
    return typer.Exit(1)
