"""What `GET /recommendations` can be asked, and the checks of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headrace.events import MAX_ID_LENGTH, id_text
from headrace.events.subjects import subject_key
from headrace.features.context import UNKNOWN
from serving.api.problems import ProblemError
from serving.overload.cheaper_lists import ListKey

CONTEXTS = ("homepage", "related")
DEFAULT_LIMIT = 20
MAX_DEVICE_LENGTH = 64


@dataclass(frozen=True)
class RecommendationRequest:
    """A request whose fields are in order."""

    user_id: str | None
    session_id: str | None
    context: str
    limit: int
    item_id: str | None
    device: str = UNKNOWN

    @property
    def subject_id(self) -> str:
        """Key of the person in the online store."""
        return subject_key(self.user_id, self.session_id)

    @property
    def resembled_id(self) -> str | None:
        """The item that the list should resemble; None: a list for the person."""
        return self.item_id if self.context == "related" else None

    @property
    def list_key(self) -> ListKey:
        """What makes two lists exchangeable."""
        return ListKey(self.subject_id, self.resembled_id, self.limit)


def read_request(parameters: Mapping[str, str], max_limit: int) -> RecommendationRequest:
    """The request in a request's query parameters, or ProblemError naming the field that is wrong.

    Read by hand, because this is the one route whose microseconds count.
    """
    context = parameters.get("context", CONTEXTS[0])
    if context not in CONTEXTS:
        raise ProblemError(400, "context", f"{context[:80]!r} is not a context: use {' or '.join(CONTEXTS)}")
    ids = {name: id_text(parameters.get(name)) for name in ("user_id", "session_id", "item_id")}
    if not (ids["user_id"] or ids["session_id"]):
        raise ProblemError(422, "user_id", "give a user_id, or a session_id for a visitor who is not signed in")
    for name, value in ids.items():
        if value is not None and len(value) > MAX_ID_LENGTH:
            raise ProblemError(422, name, f"{len(value)} characters, at most {MAX_ID_LENGTH}")
    if context == "related" and not ids["item_id"]:
        raise ProblemError(422, "item_id", "the context related needs the item_id that the list should resemble")
    limit = parameters.get("limit", str(DEFAULT_LIMIT))
    if not (limit.isascii() and limit.isdigit() and len(limit) < 10 and 1 <= int(limit) <= max_limit):
        raise ProblemError(422, "limit", f"{limit[:80]!r} is no whole number from 1 to {max_limit}")
    device = parameters.get("device", UNKNOWN)
    if len(device) > MAX_DEVICE_LENGTH:
        raise ProblemError(422, "device", f"{len(device)} characters, at most {MAX_DEVICE_LENGTH}")
    return RecommendationRequest(context=context, limit=int(limit), device=device, **ids)
