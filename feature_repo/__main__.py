"""`python -m feature_repo apply`: write the feature store's registry from the definitions and the settings.

`python -m feature_repo yaml` prints the `feature_store.yaml` that the stock `feast` command reads.
"""

from __future__ import annotations

import argparse
import sys

from headrace.machine.last_resort import reporting_errors
from headrace.settings import load_settings


def main(arguments: list[str] | None = None) -> int:
    """0, or 1 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m feature_repo", description=__doc__)
    parser.add_argument(
        "command", choices=["apply", "yaml"], help="apply: register all; yaml: print feature_store.yaml"
    )
    given = parser.parse_args(arguments)
    return reporting_errors(lambda: _run(given.command), "error: ")


def _run(command: str) -> None:
    settings = load_settings()
    from feature_repo.store import apply, yaml_text  # Feast takes seconds to import

    if command == "yaml":
        sys.stdout.write(yaml_text(settings))
    else:
        print(f"registered: {', '.join(apply(settings))}")


if __name__ == "__main__":
    sys.exit(main())
