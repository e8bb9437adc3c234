"""The command line: `workflow-server FILE[:name]`, which `python -m workflows.server` is too.

(`workflow-server run URL NAME` and its like ask a running server; they are in `client.command`.)

The file is loaded as `python FILE` would run it (its folder first on the path, its name in `sys.argv`), save that
its `__name__` is the file's, so that what stands under `if __name__ == "__main__":` does not run and its
classes can be found again by import. Whatever goes wrong leaves as one sentence and exit status 1
(2 for wrong usage); only where the user's own code failed do the lines of it stand before.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from functools import partial
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, TracebackType
from typing import NoReturn

import anyio

from workflow_server.errors import ServerUsageError
from workflow_server.server import WorkflowServer
from workflow_server.valueclass import dataclass

_PROGRAM = "workflow-server"
_INTERRUPTED = 130  # what shells report for a program that Ctrl+C ended
_WANTED_FILES = 65_536
_SWITCH_SECONDS = 0.0001
"""After which a thread that computes lets others run, instead of 5 ms: the store's threads wait behind a busy loop, and
the loop behind steps that are plain functions. Shorter than a turn of a busy loop, which lets go of the interpreter for
a moment when it polls, too short for others to take it, and begins their waiting anew with that. It is the whole
process's, so only one of our own may have it."""
_COMMANDS = ("run", "list", "show", "events", "send", "cancel")
"""First words that ask a running server; any other names a file to serve."""
_IMPORT_NAMES = ("workflows", "llama_agents")


class CommandError(Exception):
    """The command can't be carried out; the text is one sentence for the person who gave it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the workflows of a file until Ctrl+C, or ask a running server (see `client.command`).

    Args:
        arguments: Those of the command line; `None` for the process's own.

    Returns:
        The exit status: that of a command; or 0 after a stop, 1 if something was wrong, 130 if a second Ctrl+C cut
        the stop short.

    Raises:
        SystemExit: The usage is wrong (status 2), help was asked for (0), or the file itself exits.
    """
    given = sys.argv[1:] if arguments is None else arguments
    if given and given[0] in _COMMANDS and not Path(given[0]).is_file():
        from workflow_server.client import command

        return command.main(given)
    options = _parse(arguments)
    try:
        _serve(options)
    except (CommandError, ServerUsageError) as error:
        print(f"{_PROGRAM}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    print("Stopped.", flush=True)
    return 0


def _serve(options: argparse.Namespace) -> None:
    if options.backend == "trio" and find_spec("trio") is None:
        raise CommandError("--backend trio needs trio; install it with: pip install 'workflow-server[trio]'")
    target = _Target.read(options.target)
    server = target.load()
    # After loading: a program that sets up logging for itself has its way.
    logging.basicConfig(
        level=options.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    _raise_file_limit()
    # What stands now stands for good: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    # A run makes some hundred objects and lets go of nearly all; looking after every 700 takes a tenth of all time.
    gc.set_threshold(20_000, 20, 20)
    sys.setswitchinterval(_SWITCH_SECONDS)
    listening = partial(_announce, target.file.name, open_page=options.open)

    async def serve() -> None:
        await server.serve(host=options.host, port=options.port, uds=options.uds, on_listening=listening)
        if server.unstopped_steps:
            _leave_behind(server.unstopped_steps)

    anyio.run(serve, backend=options.backend)


def _leave_behind(steps: Sequence[str]) -> NoReturn:
    """End the process in spite of steps that ignore being cancelled: the loop would wait for them for ever."""
    print(f"Stopped, leaving behind: {', '.join(steps)}", flush=True)
    sys.stderr.flush()
    os._exit(0)


# --------------------------------------------------------------------------------------------------------- arguments


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="Serve the workflows of a Python file over HTTP.",
        epilog="WORKFLOWS_PY_SERVER_HOST and WORKFLOWS_PY_SERVER_PORT stand in for --host and --port. "
        f"A running server is asked by: {_PROGRAM} {{{','.join(_COMMANDS)}}} URL …",
    )
    parser.add_argument("target", metavar="FILE[:name]", help="file with a WorkflowServer, and which one if several")
    parser.add_argument("--host", help="address to listen on (default 0.0.0.0: all of IPv4)")
    parser.add_argument("--port", type=_port, help="port to listen on, 0 for a free one (default 8080)")
    parser.add_argument("--uds", metavar="PATH", help="Unix socket to listen on instead")
    parser.add_argument(
        "--backend", choices=("asyncio", "trio"), default="asyncio", help="event loop (default asyncio)"
    )
    levels = ("debug", "info", "warning", "error")
    parser.add_argument("--log-level", choices=levels, default="info", help="least level that is logged (default info)")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    options = parser.parse_args(arguments)
    if options.uds is not None and (options.host is not None or options.port is not None or options.open):
        parser.error("--uds goes without --host, --port and --open")
    return options


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text[:6]) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, a number between 0 and 65535")
    return int(text)


# ----------------------------------------------------------------------------------------------------------- loading


@dataclass(frozen=True)
class _Target:
    """A file, and the name of one of the servers in it."""

    file: Path
    name: str | None

    @classmethod
    def read(cls, text: str) -> _Target:
        path, colon, name = text.rpartition(":")
        # A file may have a colon in its own name, as every path with a drive has on Windows.
        target = (
            cls(Path(path), name)
            if colon and not Path(text).exists() and name.isidentifier()
            else cls(Path(text), None)
        )
        if target.file.is_dir():
            raise CommandError(f"{target.file} is a directory; name a Python file in it.")
        if not target.file.exists():
            raise CommandError(f"There is no file {target.file}.")
        return target

    def load(self) -> WorkflowServer:
        """Run the file and return its server."""
        folder = str(self.file.resolve().parent)
        if folder not in sys.path[:1]:
            sys.path.insert(0, folder)
        sys.argv = [str(self.file)]
        _warn_of_shadows((Path(folder), Path.cwd()))
        return self._choose(self._run())

    def _run(self) -> ModuleType:
        name = self.file.stem
        while name in sys.modules:
            # `json.py` is no module that anybody else should get for `import json`.
            name = f"_{name}"
        path = str(self.file.resolve())
        spec = spec_from_file_location(name, path, loader=SourceFileLoader(name, path))
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            sys.stderr.write(_own_lines(error.__traceback__, self.file.resolve().parent))
            reason = "".join(traceback.format_exception_only(error)).strip()
            raise CommandError(f"{self.file} can't be loaded: {reason}") from error
        return module

    def _choose(self, module: ModuleType) -> WorkflowServer:
        servers = {name: value for name, value in vars(module).items() if isinstance(value, WorkflowServer)}
        if self.name is not None and self.name in servers:
            return servers[self.name]
        if self.name is not None and servers:
            raise CommandError(f"{self.file} holds no WorkflowServer {self.name}, but {', '.join(servers)}.")
        if not servers:
            raise CommandError(f"{self.file} holds no WorkflowServer{_hint(module)}")
        return next(iter(servers.values()))


def _hint(module: ModuleType) -> str:
    for name, value in vars(module).items():
        if type(value).__name__ == "WorkflowServer":
            return f" of this program; its {name} is one of {type(value).__module__}, another package."
    return " at its top level; make one there: server = WorkflowServer()"


def _own_lines(trace: TracebackType | None, folder: Path) -> str:
    """Return the lines of a traceback that lie in the user's folder, which are those the user can mend."""
    ours = Path(__file__).parent

    def is_own(file: Path) -> bool:
        return file.is_relative_to(folder) and not file.is_relative_to(ours) and "site-packages" not in file.parts

    return "".join(traceback.format_list([f for f in traceback.extract_tb(trace) if is_own(Path(f.filename))]))


def _warn_of_shadows(folders: Sequence[Path]) -> None:
    """Say when a local module takes one of the names that programs import this server by."""
    for name in _IMPORT_NAMES:
        try:
            spec = find_spec(name)
        except ValueError:  # it is in sys.modules without a spec: somebody put it there on purpose
            continue
        origin = None if spec is None or spec.origin is None else Path(spec.origin)
        if origin is not None and (origin.parent in folders or origin.parent.parent in folders):
            print(f"{_PROGRAM}: {origin} hides the import name {name!r}; rename it.", file=sys.stderr)


# ----------------------------------------------------------------------------------------------------------- running


def _announce(file: str, urls: Sequence[str], *, open_page: bool) -> None:
    print(f"Serving {file} at {' and '.join(urls)} (Ctrl+C stops)", flush=True)
    if open_page:
        import webbrowser

        # A browser may take its time, and on some systems `open` returns only when it is closed.
        threading.Thread(target=webbrowser.open, args=(urls[0],), daemon=True).start()


def _raise_file_limit() -> None:
    """Let this process have as many open connections as the system lets it (many systems start with 256 or 1,024)."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, _WANTED_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):  # the system knows a lower limit of its own
            logging.getLogger("workflow_server.cli").debug("The limit of open files stays at %s.", soft)
