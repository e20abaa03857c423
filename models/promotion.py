"""Moves the champion by hand: `python -m models.promotion promote ID`, `rollback`, or `register` what waits.

Each version that becomes champion records in the registry which one it replaced, when and why: a rollback follows
these records one by one. A bundle is downloaded and verified file by file before the alias moves, so that
serving never sees an alias of a release it would refuse.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from headrace.errors import ReleaseError
from headrace.machine.last_resort import reporting_errors
from headrace.release.bundle import open_release
from headrace.release.registry import bring_release, remember_alias
from headrace.settings import Settings, load_settings
from models.gate.submission import submit_pending
from models.release.registry import CHAMPION, Registry, Version


def promote(settings: Settings, release_id: str, why: str, override: str = "") -> Version:
    """Make the release champion and anchor; no change if it is already. `override`: why the refusal of a gate is wrong.

    Raises ReleaseError if it is not registered, has a missing or changed file, or was refused by a gate and there is no
    `override`.
    """
    registry = Registry(settings.mlflow)
    version = registry.version_of(release_id)
    if version is None:
        raise ReleaseError(
            f"release '{release_id}' is not registered as '{settings.mlflow.model_name}'",
            "`headrace release list` names those that are here, MLflow's page all",
        )
    if version.refusal and not override:
        raise ReleaseError(
            f"release {version.release_id} was refused by its gates: {version.refusal}",
            "Train again, promote another one, or give the reason why it is to be live all the same: --override REASON",
        )
    _require_whole(settings, version)
    registry.promote(version.number, override or why, anchor=True, overridden=bool(version.refusal))
    return _is_live(settings, version)


def rollback(settings: Settings, why: str) -> Version:
    """Make the previous champion champion again.

    Raises ReleaseError if there is none, or if it has a missing or changed file.
    """
    registry = Registry(settings.mlflow)
    champion = registry.champion()
    if champion is None or champion.replaced is None:
        named = f"'{champion.release_id}' replaced no earlier champion" if champion else "there is no champion"
        raise ReleaseError(f"nothing to roll back to: {named}", "Name one: `headrace release promote ID`")
    version = registry.version(champion.replaced)
    _require_whole(settings, version)
    registry.roll_back(version, why)
    return _is_live(settings, version)


def register(settings: Settings) -> None:
    """Submit all pending releases, as their training would have. Raises ServiceError if MLflow is still unavailable."""
    number = submit_pending(settings)
    print(f"{number} submitted" if number else "nothing is pending: all releases that were built are registered")


def _require_whole(settings: Settings, version: Version) -> None:
    open_release(bring_release(settings, version.run_id, version.release_id))


def _is_live(settings: Settings, version: Version) -> Version:
    remember_alias(settings, CHAMPION, version.release_id)
    print(f"version {version.number}, release {version.release_id}, is now '{CHAMPION}'")
    return version


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; 0 if the alias is set as requested."""
    parser = argparse.ArgumentParser(prog="python -m models.promotion", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("promote", help="make a registered release champion")
    one.add_argument("release_id")
    one.add_argument("--override", default="", metavar="REASON", help="promote it although a gate refused it")
    for command in (one, commands.add_parser("rollback", help="make the previous champion champion again")):
        command.add_argument("--why", default="by hand", help="recorded with the decision")
    commands.add_parser(
        "register", help="register releases that were built while MLflow was unavailable, and evaluate them"
    )
    given = parser.parse_args(argv)
    if given.command == "register":
        return reporting_errors(lambda: register(load_settings()))
    if given.command == "promote":
        return reporting_errors(lambda: promote(load_settings(), given.release_id, given.why, given.override))
    return reporting_errors(lambda: rollback(load_settings(), given.why))


if __name__ == "__main__":
    sys.exit(main())
