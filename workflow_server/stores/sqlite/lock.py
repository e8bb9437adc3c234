"""One server for a file: a lock of the operating system, held from start to close.

It lies on a file of its own beside the database, because SQLite's locks come and go with each transaction. The
system lets go of it when the process ends, however it ends; the file stays, empty of meaning.

It is a POSIX record lock rather than `flock`: processes that a step forked would inherit the latter and, outliving
a server that was killed, keep the next one from starting. Record locks don't hold within one process, so there a set
of the paths in use does.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from threading import Lock

from workflow_server.errors import ServerUsageError

if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        # Far behind the text, which others may still read then.
        os.lseek(file, 1 << 30, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


_held: dict[Path, int] = {}
"""Lock files in use in this process, and its id: after a fork the child's copy means nothing."""
_guard = Lock()


class DatabaseLock:
    """The right to resume the runs of one database.

    Args:
        database: Its file, as the user named it.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        # Two names of one file share its lock.
        self.path = Path(os.path.realpath(database) + ".lock")
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            ServerUsageError: Another server has it; the sentence names its process.
            OSError: The lock file can't be made.
        """
        with _guard:
            if _held.get(self.path) == os.getpid():
                raise self._refusal("another server in this process")
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                _lock(file)
            except OSError:
                holder = os.read(file, 32).decode("ascii", "replace").strip()
                os.close(file)
                raise self._refusal(f"process {holder}" if holder else "another process") from None
            os.ftruncate(file, 0)
            os.lseek(file, 0, os.SEEK_SET)
            os.write(file, f"{os.getpid()}\n".encode())
            self._file = file
            _held[self.path] = os.getpid()

    def release(self) -> None:
        """Let go of the lock, if it is held."""
        with _guard:
            if self._file is not None:
                with suppress(OSError):  # a full disk doesn't matter here
                    os.ftruncate(self._file, 0)
                os.close(self._file)
                self._file = None
                del _held[self.path]

    def _refusal(self, holder: str) -> ServerUsageError:
        return ServerUsageError(
            f"{self._database} is served by {holder}, and one server at a time may resume its runs: "
            "stop that one, or give this one another db_path"
        )
