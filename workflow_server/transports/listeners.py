"""Where the server listens: TCP addresses, or the path of a Unix socket.

- `0.0.0.0` stays IPv4, because a dual-stack socket shows IPv4 clients under strange addresses; what is
  printed is an address that a browser can open.
- `localhost` is 127.0.0.1 and ::1 on one port, whichever of the two exists: browsers try either.
- A Unix socket outlives its server when that was killed. Only connecting tells a stale path from a live
  one, and only the inode tells our own socket from that of a server that took the path after us.

Options set on a listening socket are inherited by those it accepts (Linux, BSD). A small send buffer
keeps a client that never reads from swallowing megabytes; keepalive and the user timeout find
peers that vanished without a word.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
import stat
import sys
from dataclasses import field
from pathlib import Path

import anyio

from workflow_server.errors import ServerUsageError
from workflow_server.http.limits import Limits
from workflow_server.valueclass import dataclass

_BACKLOG = 1024
_SEND_BUFFER = 256 * 1024
_ABSENT_FAMILY = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_ATTEMPTS = 10  # at finding a free port that is free in both families
_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}


@dataclass(frozen=True, slots=True)
class Binding:
    """Where to listen.

    Raises:
        ServerUsageError: The port is not one.
    """

    host: str = "0.0.0.0"
    """A name or an address; `localhost` for both families."""
    port: int = 8080
    """0 for any free one."""
    uds: str | os.PathLike[str] | None = None
    """Path of a Unix socket; host and port then don't matter."""
    ssl_context: ssl.SSLContext | None = None
    """For TLS; a server-side context with its certificate loaded."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ServerUsageError(f"{self.port} is not a port; choose one between 0 and 65535 with --port.")


@dataclass(slots=True)
class Listeners:
    """Open listeners; close them with `close`."""

    sockets: list[socket.socket]
    urls: tuple[str, ...]
    """What a person can open."""
    path: Path | None = None
    _inode: tuple[int, int] | None = field(default=None)

    def close(self) -> None:
        """Stop listening, and take away the Unix socket's path if it is still ours."""
        if self.path is not None and self._inode is not None and _inode(self.path) == self._inode:
            self.path.unlink(missing_ok=True)
        self._inode = None
        for listener in self.sockets:
            listener.close()


async def open_listeners(binding: Binding, limits: Limits) -> Listeners:
    """Listen where `binding` says.

    Raises:
        ServerUsageError: The place is taken, not allowed, or not there; the sentence says which.
    """
    if binding.uds is not None:
        path = Path(binding.uds)
        raw = _bind_unix(path)
        return Listeners([raw], (f"unix:{path}",), path, _inode(path))
    raw_sockets = _bind_all(binding, await _addresses(binding), limits)
    port: int = raw_sockets[0].getsockname()[1]
    scheme = "http" if binding.ssl_context is None else "https"
    url = f"{scheme}://{_shown_host(binding.host)}:{port}"
    return Listeners(raw_sockets, (url,))


def _shown_host(host: str) -> str:
    if host in ("", "0.0.0.0"):
        return "127.0.0.1"
    if host == "::":
        return "[::1]"
    return f"[{host}]" if ":" in host else host


async def _addresses(binding: Binding) -> list[tuple[int, str]]:
    """Return family and address of all that the host's name means."""
    if binding.host == "localhost":
        return [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    try:
        found = await anyio.getaddrinfo(binding.host or "0.0.0.0", binding.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ServerUsageError(f"The host {binding.host!r} can't be resolved: {error}.") from error
    return list(dict.fromkeys((int(family), str(address[0])) for family, _, _, _, address in found))


def _bind_all(binding: Binding, addresses: list[tuple[int, str]], limits: Limits) -> list[socket.socket]:
    for attempt in range(_ATTEMPTS):
        try:
            return _bind_each(binding.port, addresses, limits)
        except OSError as error:
            # The free port that one family gave may be taken in the other.
            if binding.port == 0 and error.errno == errno.EADDRINUSE and attempt < _ATTEMPTS - 1:
                continue
            raise ServerUsageError(_why(binding, error)) from error
    raise AssertionError("the last attempt returns or raises")


def _bind_each(port: int, addresses: list[tuple[int, str]], limits: Limits) -> list[socket.socket]:
    bound: list[socket.socket] = []
    absent: OSError | None = None
    try:
        for family, address in addresses:
            try:
                raw = _bind(family, address, port, limits)
            except OSError as error:
                if error.errno not in _ABSENT_FAMILY:
                    raise
                absent = error
                continue
            bound.append(raw)
            port = raw.getsockname()[1]
        if not bound and absent is not None:
            raise absent
    except OSError:
        for raw in bound:
            raw.close()
        raise
    return bound


def _bind(family: int, address: str, port: int, limits: Limits) -> socket.socket:
    raw = socket.socket(family, socket.SOCK_STREAM)
    try:
        raw.setblocking(False)
        if family == socket.AF_INET6:
            raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if sys.platform == "win32":
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _tune(raw, limits)
        raw.bind((address, port))
        raw.listen(_BACKLOG)
    except OSError:
        raw.close()
        raise
    return raw


def _tune(raw: socket.socket, limits: Limits) -> None:
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    wanted = {**_KEEPALIVE, "TCP_USER_TIMEOUT": round(limits.write_stall_seconds * 1000)}
    for name, value in wanted.items():
        option: int | None = getattr(socket, name, None)  # each system knows some of them
        if option is not None:
            raw.setsockopt(socket.IPPROTO_TCP, option, value)


def _why(binding: Binding, error: OSError) -> str:
    place = f"Port {binding.port} on {binding.host}"
    if error.errno == errno.EADDRINUSE:
        return f"{place} is in use by another program; choose another with --port."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{place} needs rights that this user lacks; choose one above 1023 with --port."
    if error.errno in _ABSENT_FAMILY:
        return f"{binding.host} is no address of this machine; choose another with --host."
    return f"{place} can't be listened on: {error.strerror or error}."


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _bind_unix(path: Path) -> socket.socket:
    if not hasattr(socket, "AF_UNIX"):
        raise ServerUsageError("This system has no Unix sockets; use --host and --port.")
    _clear_stale(path)
    raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        raw.setblocking(False)
        raw.bind(str(path))
        raw.listen(_BACKLOG)
    except OSError as error:
        raw.close()
        raise ServerUsageError(f"The Unix socket {path} can't be made: {error.strerror or error}.") from error
    return raw


def _clear_stale(path: Path) -> None:
    """Unlink the socket that a dead server has left at `path`."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return  # nothing there, or `bind` will say what is wrong
    if not stat.S_ISSOCK(mode):
        raise ServerUsageError(f"{path} exists and is no socket; choose another path with --uds.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            if error.errno == errno.ENOENT:
                return
            if error.errno != errno.EAGAIN:  # EAGAIN: alive, with a full backlog
                raise ServerUsageError(f"The Unix socket {path} can't be used: {error.strerror}.") from error
    raise ServerUsageError(f"The Unix socket {path} is in use by another program; choose another with --uds.")
