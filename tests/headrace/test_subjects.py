"""A user and a visitor never share a key, whatever their ids look like."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headrace.events.subjects import named_subject, subject_key

IDS = st.lists(st.sampled_from(["session:", "user:", "a", ":"]), min_size=1, max_size=4).map("".join)
PEOPLE = st.tuples(IDS, st.none()) | st.tuples(st.none(), IDS)
"""Users and visitors, by user id and session id."""


def test_a_user_whose_id_is_a_visitors_key_is_somebody_else() -> None:
    assert subject_key("session:abc") == "user:session:abc"
    assert subject_key(None, "abc") == "session:abc"
    assert subject_key("u1", "abc") == "u1"


@given(PEOPLE, PEOPLE)
def test_two_people_never_share_a_key(one: tuple[str | None, str | None], other: tuple[str | None, str | None]) -> None:
    assert (subject_key(*one) == subject_key(*other)) == (one == other)


@given(PEOPLE)
def test_a_person_is_named_by_the_key_that_tables_show(person: tuple[str | None, str | None]) -> None:
    assert named_subject(subject_key(*person)) == subject_key(*person)


def test_a_person_is_named_by_the_user_id() -> None:
    assert [named_subject(text) for text in ("u1", "user:abc", "session:abc")] == ["u1", "user:user:abc", "session:abc"]
