"""Parent class of the settings groups: one table of the settings file each; `headrace.settings` combines them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Group(BaseModel):
    """A table of the settings file; unknown names are refused, so that a misspelt setting is never ignored."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)
