"""What the two-tower's loss compares an example with, against the formula."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp

from headrace.settings.jobs import TrainingSettings
from models.two_tower.architecture import build_model, example_cutter
from models.two_tower.network.model import ItemColumns, TwoTower
from tests.models.two_tower.test_sequences import one_batch, sequences

LENGTH, ITEMS = 4, 4
USERS = ([(1, "a"), (2, "b")], [(1, "b"), (2, "c")], [(1, "a"), (2, "c")], [(1, "c"), (2, "a")])
"""The targets are b, c, c and a; nobody takes d."""


def model_and_logits(**settings: object) -> tuple[TwoTower, dict[str, np.ndarray], np.ndarray]:
    """A model with large vectors, its one batch, and what each occasion's user makes of the items a to d."""
    training = TrainingSettings(embedding_size=5, id_dropout=0, **settings)
    nothing = np.zeros((ITEMS + 1, 1), np.int32)
    columns, events = ItemColumns(nothing, (1,), nothing, 1), np.ones(ITEMS + 1, np.int64)
    model = build_model(columns, 1, (), LENGTH, events, training)
    batch = one_batch(sequences(*USERS), example_cutter(training, LENGTH))
    model.make_variables()
    model.item_tower.ids.assign(np.random.default_rng(3).normal(size=(ITEMS + 1, 4)))
    rows = np.arange(ITEMS + 1, dtype=np.int32)
    users, vectors = model.users(batch, rows, batch["history_items"], training=False)
    return model, batch, (users.numpy() @ vectors.numpy().T)[:, 1:]


def loss_by_the_formula(logits: np.ndarray, batch: dict[str, np.ndarray], counts: list[int], hardest: int) -> float:
    """`counts`: how often each of a to d is met as a negative."""
    total = 0.0
    for item, occasion, weight in zip(
        batch["target_items"], batch["target_occasions"], batch["target_weights"], strict=True
    ):
        others = [place for place in range(ITEMS) if place != item - 1 and counts[place]]
        against = np.sort(logits[occasion][others] + np.log(np.array(counts)[others]))[::-1]
        total += weight * np.logaddexp(0, logsumexp(against[:hardest]) - logits[occasion][item - 1])
    return total


@pytest.mark.parametrize("temperature", [1.0, 0.5])
@pytest.mark.parametrize("hardest", [0, 1])
def test_the_other_items_of_the_batch_are_negatives_or_the_hardest_of_them(temperature: float, hardest: int):
    model, batch, logits = model_and_logits(retrieval_temperature=temperature, retrieval_hardest_negatives=hardest)
    expected = loss_by_the_formula(logits / temperature, batch, [1, 1, 2, 0], hardest or ITEMS)
    assert float(model.compute_loss(batch)) == pytest.approx(expected, rel=1e-4)


def test_sampled_negatives_include_items_that_no_user_takes_and_are_others_in_each_step():
    model, batch, logits = model_and_logits(retrieval_temperature=1.0, retrieval_sampled_negatives=40)
    drawn = np.bincount(model._sampled().numpy(), minlength=ITEMS + 1)[1:]
    assert drawn.sum() == 40
    assert drawn[3] > 0
    counts = (np.array([1, 1, 2, 0]) + drawn).tolist()
    assert float(model.compute_loss(batch)) == pytest.approx(
        loss_by_the_formula(logits, batch, counts, ITEMS), rel=1e-4
    )
    before = model._sampled().numpy()
    model.optimizer.iterations.assign_add(1)
    assert before.tolist() != model._sampled().numpy().tolist()
