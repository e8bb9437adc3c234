"""A span handler that notes what it is told. To be imported late: the import alone attaches the adapter to new runs."""

from __future__ import annotations

from typing import Any

from llama_index_instrumentation.span import BaseSpan
from llama_index_instrumentation.span_handlers import BaseSpanHandler


class Spans(BaseSpanHandler[BaseSpan]):
    """Notes what it is told, with ids cut before their unique part."""

    told: list[tuple[Any, ...]] = []
    tags: dict[str, dict[str, Any]] = {}

    def new_span(
        self,
        id_: str,
        bound_args: Any,
        instance: Any = None,
        parent_span_id: str | None = None,
        tags: Any = None,
        **_: Any,
    ) -> BaseSpan:
        name, parent = id_[:-37], parent_span_id and parent_span_id[:-37]
        self.told.append(("enter", name, parent, dict(bound_args.arguments)))
        self.tags.setdefault(name, dict(tags))
        return BaseSpan(id_=id_, parent_id=parent_span_id, tags=tags)

    def prepare_to_exit_span(
        self, id_: str, bound_args: Any, instance: Any = None, result: Any = None, **_: Any
    ) -> Any:
        self.told.append(("exit", id_[:-37], result))
        return self.open_spans[id_]

    def prepare_to_drop_span(self, id_: str, bound_args: Any, instance: Any = None, err: Any = None, **_: Any) -> Any:
        self.told.append(("drop", id_[:-37], str(err)))
        return self.open_spans[id_]
