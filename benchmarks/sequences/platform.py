"""The whole platform on ids alone: `headrace evaluate` on two files, as a user would run it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from benchmarks.sequences.data import Events
from headrace.errors import HeadraceError

Lists = npt.NDArray[np.int32]


def platform_lists(known: Events, k: int) -> Lists:
    """[users, k] what everybody is served that they did not take, learnt from `known`; -1 where a list is shorter.

    Raises HeadraceError if the command fails.
    """
    with tempfile.TemporaryDirectory(prefix="headrace-sequences-") as folder:
        train, test, lists = (Path(folder) / name for name in ("train.csv", "test.csv", "lists.parquet"))
        users = np.arange(known.shape[0])
        pa.csv.write_csv(pa.table({"user_id": _named("u", known.users), "item_id": _named("i", known.items)}), train)
        pa.csv.write_csv(pa.table({"user_id": _named("u", users)}), test)
        command = [sys.executable, "-m", "headrace", "evaluate", "--exclude-own"]
        command += ["--train", str(train), "--test", str(test), "--output", str(lists)]
        if subprocess.run(command, check=False).returncode:
            raise HeadraceError("`headrace evaluate` failed", "Its reason is above")
        table = pq.read_table(lists)
    found = np.full((len(users), k), -1, np.int32)
    user, item, rank = _numbers(table, "user_id"), _numbers(table, "item_id"), table.column("rank").to_numpy()
    listed = rank <= k
    found[user[listed], rank[listed] - 1] = item[listed]
    return found


def _named(letter: str, numbers: npt.NDArray[np.int64]) -> list[str]:
    return [f"{letter}{number}" for number in numbers.tolist()]


def _numbers(table: pa.Table, column: str) -> npt.NDArray[np.int64]:
    return np.array([int(name[1:]) for name in table.column(column).to_pylist()], np.int64)
