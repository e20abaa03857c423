"""Moves the champion by hand: `python -m models.promotion promote ID`, `rollback`, or `register` what waits.

Each version that becomes champion notes in the registry which one it took the place of, when and why: rolling back goes
that way, step by step. A bundle is brought to this machine and verified file by file before the alias moves, so that
serving never sees an alias of something it would refuse.
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


def promote(settings: Settings, release_id: str, why: str) -> Version:
    """Make the release champion; nothing happens if it is.

    Raises ReleaseError if it is not registered, was refused by a gate, or has a missing or changed file.
    """
    registry = Registry(settings.mlflow)
    version = registry.version_of(release_id)
    if version is None:
        raise ReleaseError(
            f"release '{release_id}' is not registered as '{settings.mlflow.model_name}'",
            "`headrace release list` names those that are here, MLflow's page all",
        )
    return _go_live(settings, registry, version, why)


def rollback(settings: Settings, why: str) -> Version:
    """Make the release champion that was so before the present one.

    Raises ReleaseError if there is none, or if it has a missing or changed file.
    """
    registry = Registry(settings.mlflow)
    champion = registry.champion()
    if champion is None or champion.replaced is None:
        named = f"'{champion.release_id}' took no one's place" if champion else "there is no champion"
        raise ReleaseError(f"nothing to roll back to: {named}", "Name one: `headrace release promote ID`")
    return _go_live(settings, registry, registry.version(champion.replaced), why, back=True)


def register(settings: Settings) -> None:
    """Submit every release that waits, as its training would have. Raises ServiceError if MLflow is still away."""
    number = submit_pending(settings)
    print(f"{number} submitted" if number else "nothing waits: every release that was built is registered")


def _go_live(settings: Settings, registry: Registry, version: Version, why: str, back: bool = False) -> Version:
    if version.refusal:
        raise ReleaseError(
            f"release {version.release_id} was refused by its gates: {version.refusal}",
            "Train again, or promote another one",
        )
    open_release(bring_release(settings, version.run_id, version.release_id))
    if back:
        registry.roll_back(version, why)
    else:
        registry.promote(version.number, why)
    remember_alias(settings, CHAMPION, version.release_id)
    print(f"version {version.number}, release {version.release_id}, is now '{CHAMPION}'")
    return version


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; 0 if the alias names the release asked for."""
    parser = argparse.ArgumentParser(prog="python -m models.promotion", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("promote", help="make a registered release champion")
    one.add_argument("release_id")
    for command in (one, commands.add_parser("rollback", help="make the champion before this one champion again")):
        command.add_argument("--why", default="by hand", help="kept with the decision")
    commands.add_parser(
        "register", help="log releases that were built while MLflow was away, and put them through the gate"
    )
    given = parser.parse_args(argv)
    if given.command == "register":
        return reporting_errors(lambda: register(load_settings()))
    if given.command == "promote":
        return reporting_errors(lambda: promote(load_settings(), given.release_id, given.why))
    return reporting_errors(lambda: rollback(load_settings(), given.why))


if __name__ == "__main__":
    sys.exit(main())
