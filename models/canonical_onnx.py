"""Gives the values of an ONNX graph names that depend on nothing but the graph.

The converter names them by counters and merges equal constants in no fixed order, so that the same model would have
another content hash each time.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import onnx


def make_canonical(path: Path) -> None:
    """Rewrite the model in `path`: values are numbered in order of use, inputs and outputs keep their names."""
    model = onnx.load(str(path))
    graph = model.graph
    same = _equal_constants(graph)
    for node in graph.node:
        node.input[:] = [same.get(name, name) for name in node.input]
    names = {value.name: value.name for value in (*graph.input, *graph.output)} | {"": ""}
    for number, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{number}"
        _rename(node.input, names)
        _rename(node.output, names)
    used = [constant for constant in graph.initializer if constant.name in names]
    for constant in used:
        constant.name = names[constant.name]
    used.sort(key=lambda constant: str(constant.name))
    ordered = [onnx.TensorProto.FromString(constant.SerializeToString()) for constant in used]
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(ordered)
    graph.name, graph.doc_string = "headrace", ""
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _equal_constants(graph: Any) -> dict[str, str]:
    """Name of each constant → name of the first one with the same content."""
    first: dict[bytes, str] = {}
    same = {}
    for constant in graph.initializer:
        content = onnx.TensorProto.FromString(constant.SerializeToString())
        content.name = ""
        digest = hashlib.sha256(content.SerializeToString(deterministic=True)).digest()
        same[constant.name] = first.setdefault(digest, constant.name)
    return same


def _rename(values: Any, names: dict[str, str]) -> None:
    for place, name in enumerate(values):
        values[place] = names.setdefault(name, f"value_{len(names)}")
