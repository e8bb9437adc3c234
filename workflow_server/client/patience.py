"""Going on when the server is away: how often to try again, and how long to pause before."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Patience:
    """How a broken stream or wait is taken up again. Times are seconds.

    Attributes:
        attempts: How many tries to connect may fail in a row.
        first: The longest pause before the first try; each pause is drawn by lot, so that clients don't come in step.
        longest: The longest pause of all; before that each one is up to twice as long as the one before.
        silence: A stream without a byte for so long counts as broken; `None` for never. A server of ours
            sends a heartbeat every 15 seconds.
        errors_break: Whether timeouts, and answers of proxies that have no server for now, count as broken
            connections; else they are errors at once.
    """

    attempts: int = 10
    first: float = 0.25
    longest: float = 5.0
    silence: float | None = 60.0
    errors_break: bool = True


class Breaks:
    """The breaks of one stream or wait, and the pauses after them.

    Args:
        patience: How many and how long.
        random: Draws the pauses.
    """

    def __init__(self, patience: Patience | None = None, random: Random | None = None) -> None:
        self.patience = patience or Patience()
        self._random = random or Random()  # noqa: S311  # draws pauses, no secrets
        self._failed = 0
        """Tries to connect that failed in a row."""
        self._barren = 0
        """Breaks without news between them."""

    def heard(self) -> None:
        """Take it that the server had news."""
        self._failed = self._barren = 0

    def pause(self, *, connected: bool) -> float | None:
        """Take it that a connection has ended, or could not be made; return how many seconds to wait before the next.

        `None` is for: it has been tried often enough.
        """
        self._failed = 0 if connected else self._failed + 1
        if self._failed > self.patience.attempts:
            return None
        most = min(self.patience.longest, self.patience.first * 2.0 ** min(self._barren, 30))
        self._barren += 1
        return self._random.uniform(0.0, most)
