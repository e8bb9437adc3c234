"""`WorkflowServer`: puts the parts together.

TCP, Unix socket, ASGI -> Api (requests, commands, outcomes, responses) -> HandlerManager -> runs, store
"""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio

from workflow_server.api.application import Api
from workflow_server.api.commands import Command
from workflow_server.api.names import objection_to
from workflow_server.api.outcomes import Outcome
from workflow_server.errors import ServerUsageError
from workflow_server.events import Event
from workflow_server.http.limits import Limits
from workflow_server.manager.description import api_document
from workflow_server.manager.manager import HandlerManager
from workflow_server.manager.options import ManagerOptions
from workflow_server.manager.served import ServedWorkflow, check_served
from workflow_server.runtime.ids import new_id
from workflow_server.runtime.workflow import Workflow
from workflow_server.stores.base import AbstractWorkflowStore
from workflow_server.stores.memory import MemoryWorkflowStore
from workflow_server.transports.asgi import AsgiApp
from workflow_server.transports.page import make_page
from workflow_server.transports.signals import stop_signals
from workflow_server.transports.tcp import Binding, serve

log = logging.getLogger("workflow_server")

HOST_VARIABLE = "WORKFLOWS_PY_SERVER_HOST"
PORT_VARIABLE = "WORKFLOWS_PY_SERVER_PORT"


class WorkflowServer:
    """Serves workflows over HTTP, alone or inside another program, on asyncio or trio.

    Args:
        workflow_store: Keeps the runs; in memory by default.
        idle_timeout: Seconds after which a run that only waits may leave memory. The memory store keeps it.
        max_active_runs: How many runs may be in memory at once; further ones queue, and begin in the order of starting.
            A run that has left memory gives its place to the next. `None` for any number.
        sse_heartbeat_interval: A silent event stream sends a heartbeat after so many seconds; `None` for never.
        shutdown_grace: Seconds that stopping lets running steps go on.
        accept_context_api: Whether clients may hand in a context to start from.
        cors_origins: Origins whose pages may use the API, `"*"` for all; none by default.
        limits: What a client may cost.
        ui: Whether to serve the debugger page at `/`.
        ui_path: Folder of another page to serve there instead of the one that came along.

    Raises:
        ValueError: `max_active_runs` is less than 1.

    `app` is an ASGI application to run under another server or to mount in another application.
    """

    def __init__(
        self,
        *,
        workflow_store: AbstractWorkflowStore | None = None,
        idle_timeout: float | None = 60.0,
        max_active_runs: int | None = 10_000,
        sse_heartbeat_interval: float | None = 15.0,
        shutdown_grace: float = 10.0,
        accept_context_api: bool = False,
        cors_origins: Sequence[str] = (),
        limits: Limits | None = None,
        ui: bool = True,
        ui_path: str | os.PathLike[str] | None = None,
    ) -> None:
        if max_active_runs is not None and max_active_runs < 1:
            raise ValueError(f"max_active_runs must be at least 1 or None, not {max_active_runs}")
        self._limits = limits or Limits()
        self._workflows: dict[str, ServedWorkflow] = {}
        self._manager = HandlerManager(
            self._workflows,
            workflow_store or MemoryWorkflowStore(),
            ManagerOptions(
                heartbeat=sse_heartbeat_interval,
                accept_context_api=accept_context_api,
                idle_timeout=idle_timeout,
                max_active_runs=max_active_runs,
                shutdown_grace=shutdown_grace,
            ),
        )
        self._drain: anyio.Event | None = None
        self._serving = False
        self._api = Api(self._manager.execute, page=make_page(ui, ui_path), report=_report, cors_origins=cors_origins)
        self.app = AsgiApp(self._api, running=self.running, drain=lambda: self._drain, limits=self._limits)

    def add_workflow(
        self, name: str, workflow: Workflow, additional_events: Iterable[type[Event]] | None = None
    ) -> None:
        """Serve `workflow` as `name`.

        Args:
            name: Its name in paths and on the page: letters, digits and such, without "/".
            workflow: An instance.
            additional_events: Event classes that clients may send though no step's signature names them, for
                example those that steps await with `ctx.wait_for_event`.

        Raises:
            ServerUsageError: The name can't stand in a path or is taken, the workflow is no instance of our
                `Workflow`, or the server has been started.
            WorkflowValidationError: The workflow does not hold together.
        """
        if self._drain is not None:
            raise ServerUsageError(f"add_workflow({name!r}, …) comes too late: add all workflows before the start")
        objection = objection_to(name)
        if objection is not None:
            raise ServerUsageError(f"add_workflow({name!r}, …) can't use this name: it {objection}")
        checked = check_served(name, workflow, name in self._workflows)
        self._workflows[name] = ServedWorkflow(name, checked, tuple(additional_events or ()))

    def get_workflows(self) -> dict[str, Workflow]:
        """Return the served workflows by name."""
        return {name: served.workflow for name, served in self._workflows.items()}

    def openapi_schema(self) -> dict[str, Any]:
        """Return the OpenAPI 3.1 document that `GET /openapi.json` answers with."""
        return api_document(self._workflows)

    # Running

    @property
    def unstopped_steps(self) -> tuple[str, ...]:
        """Names of the steps that ignored being cancelled when the server stopped; they keep the loop from ending."""
        return self._manager.unstopped

    async def start(self) -> None:
        """Start the service on the running loop, without listening anywhere.

        Raises:
            ServerUsageError: It has been started.
        """
        if self._drain is not None:
            raise ServerUsageError("This server has been started already; stop it first")
        self._drain = anyio.Event()
        try:
            await self._manager.start()
        except BaseException:
            self._drain = None
            raise

    async def stop(self) -> None:
        """Stop the service: streams end, running steps get `shutdown_grace` seconds. Does nothing if it is stopped."""
        if self._drain is None:
            return
        self._drain.set()
        with anyio.CancelScope(shield=True):
            await self._manager.stop()
        self._drain = None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[WorkflowServer]:
        """Run the service while the block runs; for programs that mount `app` or embed the server.

        Raises:
            ServerUsageError: It has been started.
        """
        await self.start()
        try:
            yield self
        finally:
            await self.stop()

    async def execute(self, command: Command) -> Outcome:
        """Do what a client could ask for, without HTTP; for programs that embed the server.

        Args:
            command: One of `workflow_server.api.commands`.

        Returns:
            What came of it; a client's mistakes come back as `Refused`, too.
        """
        return await self._manager.execute(command)

    contextmanager = running
    """The name that older programs know."""

    async def serve(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        uds: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        on_listening: Callable[[tuple[str, ...]], Any] | None = None,
    ) -> None:
        """Serve until SIGTERM or Ctrl+C, or until cancelled.

        Args:
            host: Address or name to listen on; by default `WORKFLOWS_PY_SERVER_HOST`, else `0.0.0.0`.
            port: Port to listen on, 0 for any free one; by default `WORKFLOWS_PY_SERVER_PORT`, else 8080.
            uds: Path of a Unix socket to listen on instead.
            ssl_context: For TLS.
            on_listening: Called once with the URLs when clients can connect; by default they are logged.

        Raises:
            ServerUsageError: The server is serving already, or can't listen there.
        """
        if self._serving:
            raise ServerUsageError("serve() is running already; one server serves one place at a time")
        binding = Binding(
            host=host or os.environ.get(HOST_VARIABLE) or "0.0.0.0",
            port=_port_from_environment() if port is None else port,
            uds=uds,
            ssl_context=ssl_context,
        )
        self._serving = True
        try:
            async with self.running():
                await self._serve(binding, on_listening or _log_urls)
        finally:
            self._serving = False

    async def _serve(self, binding: Binding, on_listening: Callable[[tuple[str, ...]], Any]) -> None:
        drain = self._drain
        assert drain is not None

        async def wind_down() -> None:
            await drain.wait()
            # While connections end, so do the runs that requests in flight wait for; others still read the store.
            with anyio.CancelScope(shield=True):
                await self._manager.halt()

        cannot_listen: ServerUsageError | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wind_down)
            try:
                with stop_signals(lambda _name: drain.set()):
                    await serve(self._api, binding, self._limits, drain=drain, listening=on_listening)
            except ServerUsageError as error:  # raised below, without the group around it
                cannot_listen = error
            if not drain.is_set():
                tasks.cancel_scope.cancel()
        if cannot_listen is not None:
            raise cannot_listen


def _port_from_environment() -> int:
    text = os.environ.get(PORT_VARIABLE, "8080")
    if not text.isdecimal() or int(text) > 65535:
        raise ServerUsageError(f"{PORT_VARIABLE} must be a port number from 0 to 65535, not {text!r}")
    return int(text)


def _log_urls(urls: tuple[str, ...]) -> None:
    log.info("Serving workflows on %s", ", ".join(urls))


def _report(error: Exception) -> str:
    """Log an unexpected error and return the id that clients are told."""
    error_id = new_id()
    log.error("Unexpected error %s", error_id, exc_info=error)
    return error_id
