"""The table: medians, ratios to the peer, and how far the samples of each cell lay apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.workloads import Sample, Workload


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

    def as_json(self) -> dict[str, object]:
        """Return everything known, for `--json`."""
        if self.problem:
            return {"problem": self.problem}
        return {
            "median": self.value,
            "cpu_us": self.cpu_us,
            "spread": self.spread,
            "samples": [sample.value for sample in self.samples],
            "note": self.samples[-1].note,
        }


def ratio(workload: Workload, cell: Cell, peer: Cell) -> float:
    """Return how many times better than the peer `cell` is (above 1 is better, whatever the unit).

    Samples of one turn are compared with each other, because the machine was the same then; the median counts.
    """
    turns = zip(cell.samples, peer.samples, strict=False)
    quotients = [ours.value / theirs.value for ours, theirs in turns]
    return median(quotients if workload.more_is_better else [1 / quotient for quotient in quotients])


def cpu_ratio(cell: Cell, peer: Cell) -> float | None:
    """Return how many times less processor time than the peer `cell` needs for a unit of work, if both are known."""
    if not cell.cpu_us or not peer.cpu_us:
        return None
    return peer.cpu_us / cell.cpu_us


Results = Mapping[str, Mapping[str, Cell]]
"""By workload name, then by contestant name."""


def table(workloads: Sequence[Workload], results: Results, header: str) -> str:
    """Return the report as text, with one line a workload and contestant."""
    figures = f"{'median':>12} {'':<13}{'spread':>8}{'ratio':>8}{'CPU/unit':>11}{'ratio':>8}"
    lines = [header, "", f"{'workload':<42}{'who':<18}{figures}  note"]
    for workload in workloads:
        cells = results.get(workload.name, {})
        for position, (who, cell) in enumerate(cells.items()):
            title = workload.title if position == 0 else ""
            lines.append(f"{title:<42}{who:<18}{_figures(workload, cell, cells.get('peer'))}")
    return "\n".join(lines)


def _figures(workload: Workload, cell: Cell, peer: Cell | None) -> str:
    if cell.problem:
        return f"  no figure: {cell.problem}"
    known = peer if peer and not peer.problem else None
    against = f"{ratio(workload, cell, known):.1f}x" if known else "-"
    less = cpu_ratio(cell, known) if known else None
    cpu = ("-", "-") if cell.cpu_us is None else (f"{cell.cpu_us:,.0f} µs", f"{less:.1f}x" if less else "-")
    number = f"{cell.value:,.0f}" if cell.value >= 100 else f"{cell.value:.1f}"
    figures = f"{number:>12} {workload.unit:<13}{cell.spread:>8.0%}{against:>8}{cpu[0]:>11}{cpu[1]:>8}"
    return f"{figures}  {cell.samples[-1].note}"
