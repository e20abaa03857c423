"""The commented settings reference: `python -m headrace.cli.reference --write` generates `docs/settings.toml`.

Generated from the settings classes; a test compares the two. The same command
writes `docs/event.schema.json` and `docs/features.md`.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from headrace.events import event_json_schema
from headrace.features.page import PAGE as FEATURES
from headrace.features.page import page_text
from headrace.machine.last_resort import reporting_errors
from headrace.settings import ENVIRONMENT_PREFIX, PROJECT_ROOT, Settings

REFERENCE = PROJECT_ROOT / "docs" / "settings.toml"
EVENT_SCHEMA = PROJECT_ROOT / "docs" / "event.schema.json"
WIDTH = 110

HEADER = """\
# Every setting of Headrace with its meaning and its default. Generated: run `make settings` after changing
# headrace/settings_*.py; do not edit.
#
# Copy the lines you want to change into `headrace.toml` in the folder you work in (or name your file in
# HEADRACE_CONFIG). An environment variable wins over the file: the name beside each setting is its variable.
# A name that is not listed here is refused.
#
# What fails unforeseen is one sentence that names the log with its stack trace; HEADRACE_TRACES=stderr shows it too.
"""


def reference_text() -> str:
    """The whole reference file."""
    plain, groups = [], []
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            groups.append(_group(name, field.annotation))
        else:
            plain.append(_setting(name, field, ENVIRONMENT_PREFIX))
    return "\n".join([HEADER, *plain, *groups])


def effective_text(settings: Settings) -> str:
    """These settings as TOML, without comments."""
    values = settings.model_dump(mode="json")
    lines = [f"{name} = {_toml(value)}" for name, value in values.items() if not isinstance(value, dict)]
    for name, group in values.items():
        if isinstance(group, dict):
            lines += ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in group.items())]
    return "\n".join(lines) + "\n"


def schema_text() -> str:
    """JSON Schema of the event contract."""
    return json.dumps(event_json_schema(), indent=2, ensure_ascii=False) + "\n"


def _group(name: str, group: type[BaseModel]) -> str:
    about = _comment(group.__doc__ or "")
    settings = [
        _setting(field_name, field, f"{ENVIRONMENT_PREFIX}{name.upper()}__")
        for field_name, field in group.model_fields.items()
    ]
    return "\n".join([f"\n{about}[{name}]", *settings])


def _setting(name: str, field: FieldInfo, prefix: str) -> str:
    allowed = f" One of {_choices(field.annotation)}." if get_origin(field.annotation) is Literal else ""
    about = _comment(f"{field.description}{allowed} ({prefix}{name.upper()})")
    return f"{about}{name} = {_toml(field.get_default(call_default_factory=True))}\n"


def _choices(annotation: Any) -> str:
    return ", ".join(f"`{choice}`" for choice in get_args(annotation))


def _comment(text: str) -> str:
    lines = textwrap.wrap(" ".join(text.split()), WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    return "".join(f"# {line}\n" for line in lines)


def _toml(value: Any) -> str:
    plain = str(value) if isinstance(value, Path) else value
    return json.dumps(plain, ensure_ascii=False)  # text, numbers, true/false and lists read the same in TOML


def main(arguments: list[str] | None = None) -> int:
    """Print the reference, or write all generated files."""
    parser = argparse.ArgumentParser(prog="python -m headrace.cli.reference", description=__doc__)
    parser.add_argument(
        "--write", action="store_true", help="write docs/settings.toml, docs/event.schema.json and docs/features.md"
    )
    given = parser.parse_args(arguments)
    return reporting_errors(_write if given.write else lambda: print(reference_text(), end=""))


def _write() -> None:
    for path, text in ((REFERENCE, reference_text()), (EVENT_SCHEMA, schema_text()), (FEATURES, page_text())):
        path.write_text(text, encoding="utf-8")
        print(f"Wrote {path.relative_to(PROJECT_ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
