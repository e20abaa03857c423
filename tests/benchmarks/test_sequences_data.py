"""What the benchmark of sequences leaves out of what models may know."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks.sequences.data import INSIDE, Events, Parted, held_out_at_random, last_one_out, read_ratings
from headrace.errors import BadInputError

FILE = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
FILE += "".join(
    f"{line}\n" for line in ("2\t30\t5\t200", "1\t10\t3\t100", "2\t20\t1\t200", "1\t30\t4\t50", "2\t10\t2\t7")
)
FILE += "1\t20\t4\t300\n"


def pairs(events: Events) -> list[tuple[int, int]]:
    """(user, item), in order."""
    return list(zip(events.users.tolist(), events.items.tolist(), strict=True))


def targets(parted: Parted) -> list[tuple[int, int]]:
    return sorted(zip(parted.targets.users.tolist(), parted.targets.items.tolist(), strict=True))


def test_the_last_rating_is_the_test_and_the_one_before_it_the_validation(tmp_path: Path):
    file = tmp_path / "ratings.inter"
    file.write_text(FILE)
    split = last_one_out(read_ratings(file))
    assert pairs(split.validation.known) == [(0, 2), (1, 0)]
    assert targets(split.validation) == [(0, 0), (1, 2)]
    assert pairs(split.test.known) == [(0, 2), (0, 0), (1, 0), (1, 2)]
    assert targets(split.test) == [(0, 1), (1, 1)]  # of one second: what stands later in the file is later


def test_the_package_that_holds_the_ratings_is_read_as_it_is(tmp_path: Path):
    (tmp_path / "ratings.inter").write_text(FILE)
    with zipfile.ZipFile(tmp_path / "package.whl", "w") as package:
        package.writestr(INSIDE, FILE)
    inside, alone = (read_ratings(tmp_path / name) for name in ("package.whl", "ratings.inter"))
    assert pairs(inside) == pairs(alone)
    with pytest.raises(BadInputError, match=r"nothing.inter: no ratings"):
        read_ratings(tmp_path / "nothing.inter")


def test_without_order_a_tenth_of_everybodys_pairs_is_kept_apart_and_times_say_nothing():
    users, items = np.repeat(np.arange(30), 40), np.tile(np.arange(40), 30)
    split = held_out_at_random(Events(users, items, np.arange(1200), (30, 40)))
    parts = [set(pairs(split.validation.known)), set(targets(split.validation)), set(targets(split.test))]
    assert [len(part) for part in parts] == [30 * 32, 30 * 4, 30 * 4]
    assert len(set.union(*parts)) == 1200
    assert set(pairs(split.test.known)) == parts[0] | parts[1]
    known = split.test.known
    assert abs(np.corrcoef(known.items, known.times)[0, 1]) < 0.1
    assert (np.diff(known.times)[np.diff(known.users) == 0] > 0).all()
