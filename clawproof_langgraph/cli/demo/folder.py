"""Where a run of the demo has its databases, and what stays of them: one folder in the end, or nothing."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

ACTS: Final = ("unguarded", "guarded")
"""The folders of the two acts."""


def usual_folder() -> Path:
    """Tell where the databases of the last run stay; the next run replaces them."""
    return Path(tempfile.gettempdir(), f"clawproof-demo-{os.getuid()}")


class RunFolder:
    """A new folder for a run; unless it is kept, it is deleted when the block is left, however the run ends.

    Args:
        chosen: where the acts go in the end, None for the usual folder.

    Raises:
        OSError: it cannot be used, or has acts already.
    """

    def __init__(self, chosen: Path | None = None) -> None:
        self._chosen = chosen.absolute() if chosen else None
        self._made: list[Path] = []
        if self._chosen:
            if any((self._chosen / act).exists() for act in ACTS):
                raise FileExistsError(errno.EEXIST, "The databases of an earlier demo are there", str(self._chosen))
            self._made = [folder for folder in (self._chosen, *self._chosen.parents) if not folder.exists()]
            self._chosen.mkdir(parents=True, exist_ok=True)
        self.path = Path(tempfile.mkdtemp(prefix="clawproof-demo-", dir=self._chosen))
        self._kept = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._kept:
            return
        shutil.rmtree(self.path, ignore_errors=True)
        for folder in self._made:
            with contextlib.suppress(OSError):  # somebody else has put something there
                folder.rmdir()

    def keep(self) -> Path:
        """Put the databases where they stay, and tell where that is. No process may use them at this moment."""
        self._kept = True
        if self._chosen:
            for act in self.path.iterdir():
                act.rename(self._chosen / act.name)
            self.path.rmdir()
            return self._chosen
        place = usual_folder()
        try:
            if place.is_dir():
                shutil.rmtree(place)
            self.path.rename(place)
        except OSError:  # it is somebody else's, or a link to what is: neither of the two follows one
            return self.path
        return place
