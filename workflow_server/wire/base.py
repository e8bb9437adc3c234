"""What all models of the wire share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class WireModel(BaseModel):
    """A shape on the wire. pydantic makes its validator when it is first used: a server starts without most of them."""

    model_config = ConfigDict(defer_build=True)
