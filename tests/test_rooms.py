"""The inner walls: who may import which module of a folder, and that folders form no circle."""

from __future__ import annotations

import ast
import importlib
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

PROJECT = Path(__file__).parent.parent
ROOMS = ("headrace", "dags", "jobs", "feature_repo", "models", "serving", "infra")
MOST_FILES = 16


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*ROOMS, cache_dir=None)


def face(package: str) -> set[str] | None:
    """Modules that a folder hands on: its `__all__`; None where it names none, so that all are public."""
    tree = ast.parse((PROJECT / package.replace(".", "/") / "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "__all__" for target in node.targets):
            return {f"{package}.{name}" for name in ast.literal_eval(node.value)}
    return None


def packages(graph: grimp.ImportGraph) -> set[str]:
    return {module for module in graph.modules if (PROJECT / module.replace(".", "/")).is_dir()}


def test_nobody_imports_a_private_module_of_another_folder(graph: grimp.ImportGraph) -> None:
    broken = []
    for package in packages(graph):
        public = face(package)
        if public is None:
            continue
        private = {each for each in graph.find_children(package) if each not in public | packages(graph)}
        for module in private:
            outside = (each for each in graph.find_modules_that_directly_import(module))
            broken += [f"{each} imports {module}" for each in outside if not f"{each}.".startswith(f"{package}.")]
    assert broken == []


def test_every_module_that_a_face_names_is_there(graph: grimp.ImportGraph) -> None:
    for package in packages(graph):
        for name in face(package) or ():
            assert name in graph.modules or hasattr(importlib.import_module(package), name.rpartition(".")[2]), name


def test_folders_form_no_circle(graph: grimp.ImportGraph) -> None:
    folders = packages(graph)
    for room in folders:
        uses: defaultdict[str, set[str]] = defaultdict(set)
        for importer in graph.find_descendants(room):
            for imported in graph.find_modules_directly_imported_by(importer):
                here, there = folder_below(room, importer, folders), folder_below(room, imported, folders)
                if here and there and here != there:
                    uses[here].add(there)
        TopologicalSorter(uses).prepare()  # raises CycleError and names the circle


def folder_below(room: str, module: str, folders: set[str]) -> str | None:
    """The folder directly inside `room` that `module` lies in."""
    if not module.startswith(f"{room}."):
        return None
    child = ".".join(module.split(".")[: room.count(".") + 2])
    return child if child in folders else None


def test_no_folder_is_crowded(graph: grimp.ImportGraph) -> None:
    crowded = {
        package: len(files)
        for package in packages(graph)
        if len(files := list((PROJECT / package.replace(".", "/")).glob("*.py"))) > MOST_FILES
    }
    assert crowded == {}
