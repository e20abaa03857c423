"""A release is loaded whole or refused whole."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from headrace.errors import ReleaseError
from headrace.release.bundle import (
    ITEM_EMBEDDINGS,
    ITEMS,
    MANIFEST,
    POPULAR,
    USER_TOWER,
    VOCABULARIES,
    Release,
    open_release,
    seal_release,
)

FILES = (ITEMS, VOCABULARIES, ITEM_EMBEDDINGS, USER_TOWER, POPULAR, "scann/index.bin")


def sealed(folder: Path, stage: str = "retrieval") -> Release:
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return seal_release(
        folder,
        stage=stage,
        as_of=datetime(2026, 11, 23, tzinfo=UTC),
        code_version="test",
        seed=7,
        tables={"gold/item_features": 3},
        settings={},
    )


def test_a_sealed_release_opens_with_all_its_files(tmp_path):
    release = sealed(tmp_path)
    opened = open_release(tmp_path)
    assert opened.manifest == release.manifest
    assert set(opened.manifest.files) == set(FILES)
    assert opened.release_id.startswith("20261123-")


def test_the_id_depends_on_the_content_only(tmp_path):
    one, other = sealed(tmp_path / "one"), sealed(tmp_path / "other")
    assert one.release_id == other.release_id
    (tmp_path / "other" / ITEMS).write_bytes(b"other items")
    resealed = seal_release(
        tmp_path / "other",
        stage="retrieval",
        as_of=one.manifest.as_of,
        code_version="test",
        seed=7,
        tables={},
        settings={},
    )
    assert resealed.release_id != one.release_id


def test_one_flipped_byte_refuses_the_whole_release(tmp_path):
    sealed(tmp_path)
    file = tmp_path / "scann" / "index.bin"
    content = bytearray(file.read_bytes())
    content[3] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(ReleaseError, match=r"'scann/index.bin' was changed"):
        open_release(tmp_path)


def test_a_missing_file_refuses_the_whole_release(tmp_path):
    sealed(tmp_path)
    (tmp_path / USER_TOWER).unlink()
    with pytest.raises(ReleaseError, match=f"'{USER_TOWER}' is missing"):
        open_release(tmp_path)


def test_an_added_file_refuses_the_whole_release(tmp_path):
    sealed(tmp_path)
    (tmp_path / "extra.bin").write_bytes(b"?")
    with pytest.raises(ReleaseError, match=r"'extra.bin' is not in its manifest"):
        open_release(tmp_path)


def test_a_full_release_without_ranker_cannot_be_sealed(tmp_path):
    with pytest.raises(ReleaseError, match="a full release needs"):
        sealed(tmp_path, stage="full")


def test_a_manifest_that_is_not_json_is_refused_with_its_path(tmp_path):
    sealed(tmp_path)
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(ReleaseError, match=MANIFEST):
        open_release(tmp_path)
