"""Renames the values of an ONNX graph so that names depend only on the graph.

The converter names them by counters, merges equal constants and sorts nodes in no fixed order, so that the same model
would have another content hash each time.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import onnx
from onnx import numpy_helper


def make_canonical(path: Path) -> None:
    """Rewrite the model in `path`: values are numbered in order of use, inputs and outputs keep their names."""
    model = onnx.load(str(path))
    graph = model.graph
    same = _equal_constants(graph)
    for node in graph.node:
        node.input[:] = [same.get(name, name) for name in node.input]
    nodes = _from_inputs_to_outputs(graph)
    del graph.node[:]
    graph.node.extend(nodes)
    names = {value.name: value.name for value in (*graph.input, *graph.output)} | {"": ""}
    for number, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{number}"
        _rename(node.input, names)
        _rename(node.output, names)
    used = [constant for constant in graph.initializer if constant.name in names]  # the first of equal ones
    for constant in used:
        constant.name = names[constant.name]
    used.sort(key=lambda constant: str(constant.name))
    # A constant may be stored in two ways, as typed values or as raw bytes.
    ordered = [numpy_helper.from_array(numpy_helper.to_array(constant), constant.name) for constant in used]
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(ordered)
    graph.name, graph.doc_string = "headrace", ""
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _equal_constants(graph: Any) -> dict[str, str]:
    """Name of each constant → name of the first one with the same content."""
    first: dict[tuple[str, tuple[int, ...], bytes], str] = {}
    same = {}
    for constant in graph.initializer:
        array = numpy_helper.to_array(constant)
        content = (array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).digest())
        same[constant.name] = first.setdefault(content, constant.name)
    return same


def _from_inputs_to_outputs(graph: Any) -> list[Any]:
    """The nodes that the outputs need, each after what it reads: inputs in their order, depth first."""
    maker = {name: node for node in graph.node for name in node.output}
    ordered: list[Any] = []
    done: set[str] = set()

    def add(name: str) -> None:
        if name in done or name not in maker:
            return
        done.update(maker[name].output)
        for read in maker[name].input:
            add(read)
        ordered.append(maker[name])

    for output in graph.output:
        add(output.name)
    return [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]


def _rename(values: Any, names: dict[str, str]) -> None:
    for index, name in enumerate(values):
        values[index] = names.setdefault(name, f"value_{len(names)}")
