"""What the benchmarks measured, as one table at the end."""

from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.table import Table


class Line(NamedTuple):
    """One measurement beside what it is compared with. `met`: whether its goal is; None where it has none."""

    what: str
    ours: str
    bare: str = ""
    ratio: str = ""
    goal: str = ""
    met: bool | None = None


def at_most(what: str, unit: str, ours: list[float], bare: list[float], goal: float | None) -> Line:
    """A cost beside the bare one, run by run: the median of the ratios counts."""
    ratio = median(a / b for a, b in zip(ours, bare, strict=True))
    return Line(
        f"{what}, {unit}",
        f"{median(ours):,.1f}",
        f"{median(bare):,.1f}",
        f"{ratio:.2f}",
        "" if goal is None else f"<= {goal:g}",
        None if goal is None else ratio <= goal,
    )


def at_least(what: str, unit: str, ours: list[float], bare: list[float], goal: float | None) -> Line:
    """A rate beside the bare one, run by run: the median of the ratios counts."""
    ratio = median(a / b for a, b in zip(ours, bare, strict=True))
    return Line(
        f"{what}, {unit}",
        f"{median(ours):,.0f}",
        f"{median(bare):,.0f}",
        f"{ratio:.2f}",
        "" if goal is None else f">= {goal:g}",
        None if goal is None else ratio >= goal,
    )


def show(lines: list[Line]) -> None:
    """Print the table."""
    table = Table("what", "ours", "bare", "ratio", "goal", "met", box=None, pad_edge=False)
    for column in table.columns[1:4]:
        column.justify = "right"
    for line in lines:
        table.add_row(*line[:5], {None: "", True: "yes", False: "no"}[line.met])
    console = Console()
    console.width = max(console.width, 120)  # a table that goes to a file is not folded
    console.print(table, highlight=False, markup=False)
