"""`python -m headrace` is `headrace`."""

from headrace.cli.app import app

app()
