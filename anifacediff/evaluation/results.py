"""The figures of a benchmark: rows, as a file for programs and as a table for people."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        task: of the suite.
        arm: who is judged.
        metric: by what.
        mean: over all clips.
        low: lower end of its 95 % interval, by bootstrap over identities; None if there is no interval.
        high: upper end.
        n: identities.
        unit: of the figures; empty if there is none.
    """

    task: str
    arm: str
    metric: str
    mean: float
    low: float | None
    high: float | None
    n: int
    unit: str


def to_json(rows: Sequence[Row]) -> str:
    """Write rows as a list of objects."""
    return json.dumps([asdict(row) for row in rows], indent=1, allow_nan=False) + "\n"


@dataclass(frozen=True)
class Table:
    """The figures of a task: arms downwards, metrics across.

    Attributes:
        task: of the suite.
        header: titles of the columns.
        lines: cells; the first is the arm.
    """

    task: str
    header: Sequence[str]
    lines: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Write the table with its title."""
        rule = ["---", *("---:" for _ in self.header[1:])]
        lines = [f"| {' | '.join(cells)} |" for cells in (self.header, rule, *self.lines)]
        return "\n".join([f"## {self.task}", "", *lines, ""])

    def html(self) -> str:
        """Write the table."""
        cells = [(name, line) for name, line in (("th", self.header), *(("td", line) for line in self.lines))]
        rows = ["".join(f"<{name}>{escape(cell)}</{name}>" for cell in line) for name, line in cells]
        return f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def to_tables(rows: Sequence[Row]) -> Sequence[Table]:
    """Arrange rows as one table for each task, in the order in which they come."""
    return [_table(task, [row for row in rows if row.task == task]) for task in dict.fromkeys(row.task for row in rows)]


def _table(task: str, rows: Sequence[Row]) -> Table:
    titles = {row.metric: f"{row.metric} [{row.unit}]" if row.unit else row.metric for row in rows}
    cells = {(row.arm, row.metric): _cell(row) for row in rows}
    arms = dict.fromkeys(row.arm for row in rows)
    lines = [[arm, *(cells.get((arm, metric), "") for metric in titles)] for arm in arms]
    return Table(task, ["arm", *titles.values()], lines)


def _cell(row: Row) -> str:
    mean = _figure(row.mean)
    return mean if row.low is None or row.high is None else f"{mean} ({_figure(row.low)} to {_figure(row.high)})"


def _figure(value: float) -> str:
    """Write about three digits."""
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) > 1 else f"{value:.3f}"
