"""Every error of the project, in one tree.

    WorkflowError
    ├── WorkflowValidationError        a step, a workflow or a graph is put together wrongly
    ├── WorkflowConfigurationError     a workflow lacks its start or its stop, or can't be served
    ├── WorkflowRuntimeError           a run did what the rules forbid
    ├── WorkflowTimeoutError           a run used up its time limit
    ├── WorkflowCancelledByUser        somebody cancelled the run
    ├── WorkflowDone                   the run is over (kept for programs that name it)
    ├── WorkflowStepDoesNotExistError  a step was named that the workflow lacks
    ├── ContextSerdeError              a snapshot can't be written or read
    ├── ContextStateError              a context method was called at the wrong time
    ├── SerializationError             a value can't become JSON, or JSON can't become the value (also a ValueError)
    ├── StoreError                     the store failed
    │   └── StoreUnavailable           …and may work again later
    └── ServerUsageError               the program uses the server wrongly

Programs written for the peer catch the documented names one by one; new programs
may catch `WorkflowError`. Errors of the HTTP protocol are not here: they are values
(`api.outcomes.Refused`, `http.messages.Refused`), because a client's mistake is not exceptional.
"""

from __future__ import annotations


class WorkflowError(Exception):
    """The root of every error this project raises."""


class WorkflowValidationError(WorkflowError):
    """A step, a workflow or its graph is put together wrongly."""


class WorkflowConfigurationError(WorkflowError):
    """A workflow lacks something it needs to be run or served."""


class WorkflowRuntimeError(WorkflowError):
    """Something happened during a run that the rules of workflows forbid."""


class WorkflowTimeoutError(WorkflowError):
    """A run used up its time limit."""


class WorkflowCancelledByUser(WorkflowError):
    """The awaited run was cancelled on request."""


class WorkflowDone(WorkflowError):
    """The run is over; kept for programs that name it."""


class WorkflowStepDoesNotExistError(WorkflowError):
    """A step was named that the workflow does not have."""


class ContextSerdeError(WorkflowError):
    """A snapshot can't be written or read."""


class ContextStateError(WorkflowError):
    """A context method was called at a moment when it can't work."""


class SerializationError(WorkflowError, ValueError):
    """A value can't become JSON, or JSON can't become the value again."""


class StoreError(WorkflowError):
    """The store failed."""


class StoreUnavailable(StoreError):
    """The store can't be reached for now and may work again later."""


class ServerUsageError(WorkflowError):
    """The program uses the server in a way that can't work; the sentence says what to do."""
