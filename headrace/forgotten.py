"""Who was forgotten, as every room knows it: not by name, but by the hash of the name.

The online store holds one hash map, `headrace:forgotten`: SHA-256 of a subject → the moment of the request in
microseconds since 1970. What a person did until then is dropped wherever it still arrives; who comes back later is a
new person.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

FORGOTTEN_KEY = "headrace:forgotten"


def subject_hash(subject: str) -> str:
    """SHA-256 of a user id, or of `session:<session_id>`, in hexadecimal; as Spark's `sha2(subject, 256)`."""
    return sha256(subject.encode()).hexdigest()


def forgotten_until(subject: str, requests: Mapping[str, int]) -> int:
    """Up to which moment (µs since 1970) nothing of the subject counts; -1 where it never asked."""
    return requests.get(subject_hash(subject), -1) if requests else -1
