"""Shared by the adapters: ids of repeated lines, and writing the files in the event contract."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def numbered(ids: pd.Series[str]) -> pd.Series[str]:
    """`ids`, of which a repeated one gets `-2`, `-3`, … in the order of the lines: the same file, the same ids."""
    repeat = ids.groupby(ids).cumcount()
    return ids + pd.Series(np.where(repeat == 0, "", "-" + (repeat + 1).astype(str)), index=ids.index)


def write_files(output: Path, tables: Mapping[str, pd.DataFrame], meta: Mapping[str, Any]) -> None:
    """Write `<name>.parquet` of every table, and `meta.json`, below `output`."""
    output.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_parquet(output / f"{name}.parquet", index=False)
    (output / "meta.json").write_text(json.dumps(meta, indent=1))
