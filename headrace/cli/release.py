"""The commands `headrace release …`: bundles, and which one is live."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from headrace.cli.arguments import run_and_exit
from headrace.settings import load_settings

releases = typer.Typer(help="Release bundles: inputs and metrics of each, which one is live.", no_args_is_help=True)
Why = Annotated[str, typer.Option("--why", help="Kept with the decision in the registry.")]


@releases.command("list")
def list_releases(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: one object per release.")] = False,
) -> None:
    """List the local releases, newest first, with their aliases in the registry.

    Example: `headrace release list`
    """
    from headrace.cli import release_listing

    if as_json:
        print(release_listing.as_json(load_settings()))
    else:
        release_listing.show_all(load_settings(), Console())


@releases.command("show")
def show_release(
    release_id: Annotated[str | None, typer.Argument(metavar="ID", help="Release id; the newest if not given.")] = None,
) -> None:
    """Show a release's inputs and metrics, and verify that its files are complete and unchanged.

    Exit code 1 if they are not: serving refuses such a release.

    Example: `headrace release show 20261122-0123456789ab`
    """
    from headrace.cli import release_listing

    if not release_listing.show_one(load_settings(), release_id, Console()):
        raise typer.Exit(1)


@releases.command("promote")
def promote_release(
    release_id: Annotated[str, typer.Argument(metavar="ID", help="Release id, as `release list` shows it.")],
    why: Why = "by hand",
    override: Annotated[
        str, typer.Option("--override", metavar="REASON", help="Promote it although a gate refused it; kept likewise.")
    ] = "",
) -> None:
    """Make a registered release champion and anchor; running services load it within seconds.

    The bundle is downloaded if it is not local, and verified file by file, before the alias moves. A release with a
    missing or changed file is not promoted, one that a gate refused only with a reason.

    Example: `headrace release promote 20261122-0123456789ab --why "better on new items"`
    """
    run_and_exit("models.promotion", "promote", release_id, "--why", why, "--override", override)


@releases.command("rollback")
def roll_back_release(why: Why = "by hand") -> None:
    """Make the previous champion champion again; each further rollback goes back one more.

    Example: `headrace release rollback --why "click rate fell"`
    """
    run_and_exit("models.promotion", "rollback", "--why", why)


@releases.command("register")
def register_releases() -> None:
    """Register the releases that were built while MLflow was unavailable; each is evaluated and promoted as usual.

    The next training also registers those that are pending.

    Example: `headrace release register`
    """
    run_and_exit("models.promotion", "register")


@releases.command("diff")
def compare_releases(
    one: Annotated[str, typer.Argument(metavar="ONE", help="Release id, or an alias such as champion.")],
    other: Annotated[str, typer.Argument(metavar="OTHER", help="The same.")],
) -> None:
    """Show the differences between two local releases: data, code, settings, quality and size.

    Example: `headrace release diff champion 20261122-0123456789ab`
    """
    from headrace.cli import release_diff

    release_diff.show_difference(load_settings(), one, other, Console())
