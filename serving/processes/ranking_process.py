"""`python -m serving.processes.ranking_process`: ranks requests over one release, one after the other.

A new release is a new process: it is verified, loaded and warmed here, while the event loop and the process of the live
release go on undisturbed, and all memory of an old one goes back with its process.
"""

from __future__ import annotations

import gc
import logging
import sys
from pathlib import Path
from time import perf_counter

import orjson
from google.protobuf.message import DecodeError

from headrace.features.online_store import LiveRow, decode_user
from headrace.features.user_row import UserRow
from headrace.machine.last_resort import reporting_errors
from headrace.settings import Settings, load_settings
from serving.log.log_lines import write_log_lines
from serving.pipeline.recommender import RankedList, Recommender, load_recommender
from serving.processes.ranking_messages import LoadedRelease, RankedItems, RankingRequest
from serving.processes.worker_process import serve_calls

LOG = logging.getLogger(__name__)


class RankingProcess:
    """Answers `RankingRequest`s over one release."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._folder = folder
        self._settings = settings.serving

    def load(self) -> LoadedRelease:
        """Verify, load and warm the release. Raises ReleaseError."""
        serving = self._settings
        self._recommender = load_recommender(
            self._folder, serving.candidates, serving.max_per_category, serving.ranker_precision
        )
        self._recommender.warm()
        gc.freeze()  # a full collection would walk every item of the catalogue in the middle of a request
        manifest = self._recommender.release.manifest
        popular = self.answer(RankingRequest("", None, None, serving.max_limit, serving.candidates))
        assert popular is not None  # noqa: S101 - it resembles no item
        return LoadedRelease(manifest.release_id, manifest.content_hash, len(self._recommender.catalogue), popular)

    def answer(self, request: RankingRequest) -> RankedItems | None:
        """The list; None where it should resemble an item that the release does not know."""
        start = perf_counter()
        recommender = self._recommender
        item_row = None if request.item_id is None else recommender.catalogue.row_of.get(request.item_id)
        if request.item_id is not None and item_row is None:
            return None
        rows = _decoded(request)
        row, live = rows or (UserRow(request.subject_id, as_of=0), None)
        ranked, reasons, is_popular = _ranked(recommender, row, live, request, item_row)
        item_ids = [recommender.catalogue.item_ids[place] for place in ranked.rows.tolist()]
        return RankedItems(
            orjson.dumps(
                [
                    {"item_id": item, "score": score, "reason": reason}
                    for item, score, reason in zip(item_ids, ranked.scores.tolist(), reasons, strict=True)
                ]
            ),
            orjson.dumps(item_ids),
            ranked.candidates_generated,
            ranked.candidates_seconds,
            ranked.ranking_seconds,
            perf_counter() - start,
            is_popular,
            unreadable=request.rows is not None and rows is None,
        )


def _decoded(request: RankingRequest) -> tuple[UserRow, LiveRow | None] | None:
    if request.rows is None:
        return None
    try:
        return decode_user(request.subject_id, request.rows.features, request.rows.live)
    except (DecodeError, ValueError, TypeError, AttributeError) as error:
        LOG.warning("online store: the row of %r cannot be read: %s", request.subject_id, error)
        return None


def _ranked(
    recommender: Recommender, row: UserRow, live: LiveRow | None, request: RankingRequest, item_row: int | None
) -> tuple[RankedList, list[str], bool]:
    user = recommender.up_to_date(row, live)
    if item_row is not None:
        ranked = recommender.related(user, item_row, request.limit, number=request.candidates)
        return ranked, recommender.reasons.related(item_row, len(ranked.rows)), False
    if not user.is_known:
        ranked = recommender.popular(request.limit)
        return ranked, [recommender.reasons.popular] * len(ranked.rows), True
    vector = recommender.user_vector(user, live)
    ranked, own = recommender.for_user(user, vector, request.limit, number=request.candidates)
    return ranked, recommender.reasons.for_user(user, own, ranked.rows, ranked.sources), False


def main() -> int:
    """`<socket> <folder of the release>`."""
    write_log_lines()

    def serve() -> None:
        ranking = RankingProcess(Path(sys.argv[2]), load_settings())
        serve_calls(int(sys.argv[1]), ranking.load, RankingRequest, ranking.answer)

    return reporting_errors(serve)


if __name__ == "__main__":
    sys.exit(main())
