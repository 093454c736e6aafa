"""Puts the recipes into wheels, where `asr-topdown init` finds them; all else is said in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHARED = ("egs", "conf", "utils")
HERE = Path(__file__).parent


class BuildWithRecipes(build_py):
    """Copies what `asr-topdown init` lays out to asr_topdown/share."""

    def run(self) -> None:
        """Build the package, then copy."""
        super().run()
        if self.editable_mode:  # from a checkout they are found beside the package
            return
        share = Path(self.build_lib) / "asr_topdown" / "share"
        shutil.rmtree(share, ignore_errors=True)
        ignored = shutil.ignore_patterns(
            "data", "exp", "downloads", "results", "RESULTS.md", "__pycache__", ".*"
        )
        for name in SHARED:
            shutil.copytree(HERE / name, share / name, ignore=ignored)


setup(cmdclass={"build_py": BuildWithRecipes})
