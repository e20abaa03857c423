"""Messages for invalid settings: one sentence that names the setting, and the name that was probably meant."""

from __future__ import annotations

import os
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from headrace.errors import BadInputError

NO_SETTINGS = ("HEADRACE_CONFIG", "HEADRACE_TRACES", "HEADRACE_PART_TOKEN")
"""Variables that are not settings: the file to read, whether traces are shown, the mark of a background service."""
REFERENCE = "See docs/settings.toml for every setting and its meaning"


def problem(error: ValidationError, settings: type[BaseModel]) -> str:
    """The first problem."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        return _unknown(path, settings)
    return f"setting '{'.'.join(path)}' is {first.get('input')!r}: {first['msg'].lower()}"


def refuse_unknown_variables(settings: type[BaseModel], prefix: str) -> None:
    """Raises BadInputError for a variable such as `HEADRACE_HOEM`: pydantic would ignore it silently."""
    for name in os.environ:
        setting = name.lower().removeprefix(prefix.lower())
        if name.upper().startswith(prefix) and name.upper() not in NO_SETTINGS:
            group, _, member = setting.partition("__")
            if group not in settings.model_fields or (member and not _fields_of(settings.model_fields[group])):
                unknown = _unknown(setting.split("__"), settings)
                raise BadInputError(f"{name}: {unknown}", REFERENCE)


def _unknown(path: list[str], settings: type[BaseModel]) -> str:
    fields = settings.model_fields
    if members := _fields_of(fields.get(path[0])):
        near = [f"{path[0]}.{name}" for name in get_close_matches(path[-1], members, n=1)]
        unknown = ".".join(path)
    else:
        names = [*fields, *(f"{group}.{name}" for group in fields for name in _fields_of(fields[group]))]
        near = get_close_matches(path[0], names, n=1) or get_close_matches(".".join(path), names, n=1)
        unknown = ".".join(path) if path[0] in fields else path[0]
    meant = f"; did you mean '{near[0]}'?" if near else ""
    return f"there is no setting '{unknown}'{meant}"


def _fields_of(field: FieldInfo | None) -> dict[str, FieldInfo]:
    """Those of a group; none of a single setting."""
    group = getattr(field, "annotation", None)
    return group.model_fields if isinstance(group, type) and issubclass(group, BaseModel) else {}
