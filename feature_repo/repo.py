"""Entry point of the stock `feast apply`: the definitions, as attributes of this module, for the project's settings.

Feast changes into this folder before it reads the module; settings (and the lake's folder) are relative to the
project's.
"""

from __future__ import annotations

from contextlib import chdir

from feature_repo.definitions import definitions
from headrace.release.registry import local_releases
from headrace.settings import PROJECT_ROOT, load_settings

with chdir(PROJECT_ROOT):
    _settings = load_settings()
    globals().update(
        {each.name: each for each in definitions(_settings.lake_root, local_releases(_settings))},
    )
