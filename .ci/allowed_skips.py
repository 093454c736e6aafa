"""`pytest -p allowed_skips --allowed-skips FILE`: fail if a test skips for a reason that is not listed.

FILE has a line for each reason, `path: reason`, both shell patterns; `#` begins a comment.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--allowed-skips", type=Path, help="fail if a test skips for a reason not in this file")


class AllowedSkips:
    """Compares what was skipped with the list once all tests have run."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = list(patterns)
        self.unexpected: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._look_at(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:  # a whole module that skips
        self._look_at(report)

    def _look_at(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if not report.skipped or hasattr(report, "wasxfail"):
            return
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        skipped = f"{report.nodeid.partition('::')[0]}: {reason.removeprefix('Skipped: ')}"
        if not any(fnmatchcase(skipped, pattern) for pattern in self._patterns):
            self.unexpected.append(skipped)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unexpected and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.unexpected:
            terminalreporter.section("skipped, but not in the list of allowed skips", red=True)
            for skipped in sorted(set(self.unexpected)):
                terminalreporter.line(skipped)


def pytest_configure(config: pytest.Config) -> None:
    """Read the list, in the process that gets every report (with xdist: not in its workers)."""
    path = config.getoption("--allowed-skips")
    if path is not None and not hasattr(config, "workerinput"):
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        config.pluginmanager.register(
            AllowedSkips(line for line in lines if line and not line.startswith("#"))
        )
