"""The sound of a table's rows: finding it, and reading its header."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from asr_topdown.corpora.table.recordings import Recordings
from asr_topdown.corpora.table.rows import Row, Table
from asr_topdown.files import explain
from asr_topdown.logs import listed
from asr_topdown.progress import progress

_MANY = 2000  # minimum number of rows for a progress bar
_ROUNDING = 0.1  # tolerance in seconds for rounded times in tables


class Found(NamedTuple):
    """A row and its sound.

    Attributes:
        row: the row.
        path: the sound file.
        rate: in Hz.
        start, end: in seconds of it.
        whole: whether that is all of it, up to 0.1 s (`_ROUNDING`).
        channel: one of its two channels; None if it has only one.
    """

    row: Row
    path: Path
    rate: int
    start: float
    end: float
    whole: bool
    channel: int | None


class Sounds:
    """Finds the rows' sound and reads its headers.

    Args:
        recordings: finds the files.
        table: the table with the rows.
        channel: the user's choice among several.
    """

    def __init__(self, recordings: Recordings, table: Table, channel: int | None) -> None:
        self._recordings, self._table, self._channel = recordings, table, channel

    def read(self, rows: Sequence[Row], *, skip_bad: bool) -> Iterator[Found]:
        """Yield each row with its sound; with `skip_bad`, print and leave out rows without usable sound.

        Raises:
            ValueError: naming the first row without usable sound, and the number of others; naming a row with
                the same sound as another.
        """
        bad: list[str] = []
        whole: dict[tuple[Path, int | None], Row] = {}
        for row in progress(rows, "headers", unit="file") if len(rows) > _MANY else rows:
            try:
                found = self._find(row)
            except (ValueError, OSError) as error:
                bad.append(f"{row.where}: {explain(error)}")
                continue
            if found.whole and whole.setdefault((found.path, found.channel), row) is not row:
                raise ValueError(f"{row.where}: {row.sound!r}: {found.path} already has a transcript")
            yield found
        if bad and not (skip_bad and len(bad) < len(rows)):
            more = f" (and {len(bad) - 1} more rows; --skip-bad leaves them out)" if len(bad) > 1 else ""
            raise ValueError(f"{bad[0]}{more}")
        if bad:
            print(f"left out: {len(bad)} rows without usable sound ({listed(bad, separator='; ')})")

    def named(self, rows: Sequence[Row]) -> set[Path]:
        """Return the files that the table names, used or not."""
        found = set()
        for row in rows:
            try:
                found.add(self._recordings.find(row.sound))
            except ValueError:
                continue
        return found

    def check_rates(self, found: Sequence[Found]) -> None:
        """Raise `ValueError`, naming two files, unless all have the same sampling rate."""
        for one in found:
            if one.rate != found[0].rate:
                raise ValueError(
                    f"{one.path}: {one.rate} Hz, but {found[0].path} has {found[0].rate} Hz; "
                    f"--sample-rate {min(one.rate, found[0].rate)} resamples them"
                )

    def _find(self, row: Row) -> Found:
        from asr_topdown import audio

        path = self._recordings.find(row.sound)
        channel = self._channel_of(path, row)
        rate, samples = audio.info(audio.Clip(str(path), channel=channel))
        seconds = samples / rate
        unit = rate if self._table.in_samples else 1
        start = row.start / unit
        end = seconds if row.end is None else row.end / unit
        if not start < end <= seconds + audio.MAX_OVERSHOOT:
            raise ValueError(f"{path}: must be start < end <= {seconds:.3f} s, got {start:g} to {end:g} s")
        whole = start == 0 and end >= seconds - _ROUNDING
        return Found(row, path, rate, start, min(end, seconds), whole, channel)

    def _channel_of(self, path: Path, row: Row) -> int | None:
        from asr_topdown.audio import num_channels

        count = num_channels(str(path))
        if count == 1:
            return None
        chosen = row.channel if self._channel is None else self._channel
        if chosen is None:
            raise ValueError(f"{path}: has {count} channels; --channel 0 takes the first")
        if not 0 <= chosen < min(count, 2):
            raise ValueError(
                f"{path}: no channel {chosen} among its {count} (only the first two are supported)"
            )
        return chosen
