"""Subject keys: one key per user or visitor in events, stream, store and tables.

A visitor's key is `session:<session_id>`, a user's the user id. A user id that starts with one of the prefixes gets
`user:` in front, so that keys are unique and nearly every user's key equals the id.
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
    """Key of a subject given on the command line: a user id, `session:ID`, or a key as the tables show it."""
    return text if text.startswith(_KEYS) else subject_key(text)


def user_key_sql(user_id: str) -> str:
    """Spark's SQL of a user's key, from the SQL of the user id."""
    return f"regexp_replace({user_id}, '^({'|'.join(_PREFIXES)})', '{USER_PREFIX}$1')"
