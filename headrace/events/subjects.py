"""Whose something is: one key per person in events, stream, store and tables, whatever the ids look like.

A visitor is known by `session:<session_id>`, a user by the user id. A user id that itself begins like a key gets
`user:` in front, so that no two people share a key and nearly every user's key is the id, letter for letter.
"""

from __future__ import annotations

SESSION_PREFIX = "session:"
USER_PREFIX = "user:"
_PREFIXES = (SESSION_PREFIX, USER_PREFIX)
_KEYS = (SESSION_PREFIX, *(USER_PREFIX + prefix for prefix in _PREFIXES))


def subject_key(user_id: str | None, session_id: str | None = None) -> str:
    """Key of a user, or of a visitor where there is no user id."""
    if not user_id:
        return f"{SESSION_PREFIX}{session_id}"
    return USER_PREFIX + user_id if user_id.startswith(_PREFIXES) else user_id


def named_subject(text: str) -> str:
    """Key of whom a person names: a user id, `session:ID`, or a key as the tables show it."""
    return text if text.startswith(_KEYS) else subject_key(text)


def user_key_sql(user_id: str) -> str:
    """Spark's SQL of a user's key, from the SQL of the user id."""
    return f"regexp_replace({user_id}, '^({'|'.join(_PREFIXES)})', '{USER_PREFIX}$1')"
