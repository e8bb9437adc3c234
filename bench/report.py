"""The table: medians, ratios to the peer, and how far the samples of each cell lay apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from bench.sample import Sample
from bench.workloads import Workload


@dataclass(frozen=True, slots=True)
class Cell:
    """All samples of one workload on one contestant, or why there are none."""

    samples: tuple[Sample, ...]
    problem: str = ""

    @property
    def value(self) -> float:
        """The median."""
        return median(sample.value for sample in self.samples)

    @property
    def cpu_us(self) -> float | None:
        """The median of the server's processor time for each unit."""
        known = [sample.cpu_us for sample in self.samples if sample.cpu_us is not None]
        return median(known) if known else None

    @property
    def spread(self) -> float:
        """How far apart the samples lie: (largest - smallest) / median."""
        values = [sample.value for sample in self.samples]
        return (max(values) - min(values)) / self.value if self.value else 0.0

    @property
    def besides(self) -> dict[str, float]:
        """The medians of the other figures."""
        return {name: median(sample.besides[name] for sample in self.samples) for name in self.samples[0].besides}

    def as_json(self) -> dict[str, object]:
        """Return everything known, for `--json`."""
        if self.problem:
            return {"problem": self.problem}
        return {
            "median": self.value,
            "cpu_us": self.cpu_us,
            "spread": self.spread,
            "samples": [sample.value for sample in self.samples],
            "besides": self.besides,
        }


def ratio(workload: Workload, cell: Cell, peer: Cell) -> float | None:
    """Return how many times better than the peer `cell` is (above 1 is better, whatever the unit).

    Samples of one turn are compared with each other, because the machine was the same then; the median counts. There
    is none if a sample is not above 0: memory may not grow at all.
    """
    turns = [(ours.value, theirs.value) for ours, theirs in zip(cell.samples, peer.samples, strict=False)]
    if any(value <= 0 for turn in turns for value in turn):
        return None
    quotients = [ours / theirs for ours, theirs in turns]
    return median(quotients if workload.more_is_better else [1 / quotient for quotient in quotients])


def cpu_ratio(cell: Cell, peer: Cell) -> float | None:
    """Return how many times less processor time than the peer `cell` needs for a unit of work, if both are known."""
    if not cell.cpu_us or not peer.cpu_us:
        return None
    return peer.cpu_us / cell.cpu_us


_FIGURES = f"{'median':>12} {'':<13}{'spread':>8}{'ratio':>8}{'CPU/unit':>11}{'ratio':>8}"

HEADINGS = f"{'workload':<42}{'who':<18}{_FIGURES}  besides"
"""What stands above the rows."""


def rows(workload: Workload, cells: Mapping[str, Cell]) -> str:
    """Return the lines of one workload, one for each contestant."""
    lines: list[str] = []
    for position, (who, cell) in enumerate(cells.items()):
        title = workload.title if position == 0 else ""
        lines.append(f"{title:<42}{who:<18}{_figures(workload, cell, cells.get('peer'))}")
    return "\n".join(lines)


def _figures(workload: Workload, cell: Cell, peer: Cell | None) -> str:
    if cell.problem:
        return f"  no figure: {cell.problem}"
    known = peer if peer and not peer.problem else None
    against = _times(ratio(workload, cell, known) if known else None)
    less = cpu_ratio(cell, known) if known else None
    cpu = ("-", "-") if cell.cpu_us is None else (f"{cell.cpu_us:,.0f} µs", _times(less))
    figures = f"{_number(cell.value):>12} {workload.unit:<13}{cell.spread:>8.0%}{against:>8}{cpu[0]:>11}{cpu[1]:>8}"
    return f"{figures}  {', '.join(_besides(cell, known))}".rstrip()


def _times(quotient: float | None) -> str:
    return f"{quotient:.1f}x" if quotient else "-"


def _besides(cell: Cell, peer: Cell | None) -> list[str]:
    theirs = peer.besides if peer else {}
    return [
        f"{name} {_number(value)}" + (f" ({theirs[name] / value:.1f}x)" if value and name in theirs else "")
        for name, value in cell.besides.items()
    ]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
