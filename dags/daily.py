"""After each day of clean events: features → training sets and online store → two-tower → ranker → release.

Any day can be run again: every job takes the day, reads the data as of its midnight and overwrites its own rows.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Asset, PartitionedAssetTimetable, chain

from dags.tasks import CLEAN_EVENTS, DAY_OF_UPDATE, DEFAULTS, SETTINGS, START, python_module, spark_jobs

TRAINING = f"{SETTINGS.training_folder}/{{day}}"

with DAG(
    "daily",
    description="Features → training → release → online store, for one day",
    doc_md=__doc__,
    schedule=PartitionedAssetTimetable(assets=CLEAN_EVENTS),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["headrace", "batch", "training"],
):
    features = spark_jobs(
        "features",
        "features,quality,drift,training_sets,materialise",
        "--holdout",
        "--late",
        day=DAY_OF_UPDATE,
        doc_md="Features of the day and of the holdout's start: computed, checked, joined into training sets and"
        " written to the online store.",
        execution_timeout=timedelta(hours=6),
        outlets=[Asset("online_features")],
    )
    train_retrieval = python_module(
        "train_retrieval",
        'models.train_retrieval --day "$DAY"',
        day=DAY_OF_UPDATE,
        doc_md="Trains the two-tower, evaluates it on the holdout, then trains it on the holdout too. In parallel, if"
        " no run has, another one up to each earlier holdout that the ranker is trained on.",
        execution_timeout=timedelta(hours=8),
    )
    ranking_candidates = python_module(
        "ranking_candidates",
        f'serving.offline candidates --day "$DAY" --earlier --release "{TRAINING}/retrieval_holdout"'
        f' --output "{TRAINING}/ranking_candidates.parquet"',
        day=DAY_OF_UPDATE,
        doc_md="Draws candidates with their features exactly as served: the ranker's training data.",
        execution_timeout=timedelta(hours=2),
    )
    train_ranker = python_module(
        "train_ranker",
        'models.train_ranker --day "$DAY"',
        day=DAY_OF_UPDATE,
        doc_md="Trains the ranker on the holdout's candidates: once to be validated, once to serve.",
        execution_timeout=timedelta(hours=4),
    )
    build_release = python_module(
        "build_release",
        'models.build_release --day "$DAY"',
        day=DAY_OF_UPDATE,
        doc_md="Seals index, towers, ranker and lists into one release, registers it and, if it passes the gate, makes"
        " it champion. Not retried: a refused release would be refused and registered once more; one built while"
        " MLflow is unavailable is logged later.",
        retries=0,
        execution_timeout=timedelta(hours=1),
        outlets=[Asset("release")],
    )
    chain(features, train_retrieval, ranking_candidates, train_ranker, build_release)
