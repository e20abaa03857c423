"""What every group of the settings is: one table of the settings file; `headrace.settings` puts them together."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Group(BaseModel):
    """A table of the settings file; unknown names are refused, so that a misspelt setting is never ignored."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)
