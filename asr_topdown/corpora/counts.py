"""The counts of a corpus, compared with those of known copies."""

from collections.abc import Iterable
from typing import NamedTuple


class Count(NamedTuple):
    """One count.

    Attributes:
        what: its name in the table.
        expected: of the known copies; none = not known.
        found: of this copy.
        tolerance: of the difference, relative to the expected count.
    """

    what: str
    expected: tuple[float, ...]
    found: float
    tolerance: float = 0.0

    @property
    def fits(self) -> bool:
        """Whether it is that of a known copy, or none is known."""
        if not self.expected:
            return True
        return any(abs(self.found - known) <= self.tolerance * known for known in self.expected)


def warn_of_others(counts: Iterable[Count]) -> None:
    """Print a warning with a table of the counts that differ from those of the known copies, if any do."""
    rows = [
        (count.what, " or ".join(f"{known:g}" for known in count.expected), f"{count.found:g}")
        for count in counts
        if not count.fits
    ]
    if not rows:
        return
    print("warning: these counts are not those of the known copies; results may not be comparable")
    width = max(len(what) for what, *_ in rows)
    for what, expected, found in (("", "expected", "found"), *rows):
        print(f"{what:{width}}  {expected:>14}  {found:>10}")
