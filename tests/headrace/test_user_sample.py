"""A sample of users, by hash of their ids."""

from __future__ import annotations

from headrace.user_sample import hash_fractions, sample_of

USERS = [f"user-{number:04}" for number in range(1000)]


def test_a_sample_does_not_prefer_the_first_ids_and_a_larger_one_holds_the_smaller():
    small, large = sample_of(USERS, 100), sample_of(USERS[::-1], 200)
    assert (len(small), len(large)) == (100, 200)
    assert set(small) < set(large)
    assert 30 < sum(user < "user-0500" for user in small) < 70
    assert sample_of(USERS, 5000) == USERS


def test_samples_are_independent_of_the_validation_users():
    validating = {user for user, fraction in zip(USERS, hash_fractions(USERS), strict=True) if fraction < 0.2}
    assert 10 < len(validating.intersection(sample_of(USERS, 100))) < 30
