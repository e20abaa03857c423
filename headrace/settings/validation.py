"""What a mistake in the settings gets: one sentence that names the setting, and the name that was probably meant."""

from __future__ import annotations

import os
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError

from headrace.errors import BadInputError

REFERENCE = "See docs/settings.toml for every setting and its meaning"


def problem(error: ValidationError, settings: type[BaseModel]) -> str:
    """The first problem."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        return _unknown(path, settings)
    return f"setting '{'.'.join(path)}' is {first.get('input')!r}: {first['msg'].lower()}"


def refuse_unknown_variables(settings: type[BaseModel], prefix: str) -> None:
    """Raises BadInputError for a variable such as `HEADRACE_KAFAK__PARTITIONS`: pydantic would ignore it silently."""
    for name in os.environ:
        group = name.removeprefix(prefix).partition("__")[0].lower()
        if name.startswith(prefix) and "__" in name and group not in settings.model_fields:
            raise BadInputError(f"{name}: {_unknown([group], settings)}", REFERENCE)


def _unknown(path: list[str], settings: type[BaseModel]) -> str:
    group = getattr(settings.model_fields.get(path[0]), "annotation", None)
    holder = group if isinstance(group, type) and issubclass(group, BaseModel) else settings
    near = get_close_matches(path[-1], holder.model_fields, n=1)
    meant = f"; did you mean '{'.'.join([*path[:-1], near[0]])}'?" if near else ""
    return f"there is no setting '{'.'.join(path)}'{meant}"
