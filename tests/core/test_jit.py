"""What compiled functions may return."""

import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import tracer
from tracer.core.jit import inner_plain, jit, jit_plain

PACKAGE = Path(tracer.__file__).parent
PLAIN = {"jit_plain", "inner_plain"}
NUMBERS = {"None", "bool", "int", "float", "tuple", "Any"}


def plain_functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                named = {d.id for d in node.decorator_list if isinstance(d, ast.Name)}
                if named & PLAIN:
                    yield f"{path.relative_to(PACKAGE)}: {node.name}", node


def test_functions_that_count_no_references_return_no_arrays() -> None:
    found = list(plain_functions())
    assert len(found) > 100
    arrays = [
        name
        for name, node in found
        if node.returns is None
        or not {n.id for n in ast.walk(node.returns) if isinstance(n, ast.Name)} <= NUMBERS
    ]
    assert arrays == []


@inner_plain
def _largest(values: np.ndarray) -> int:
    best = values[0]
    for value in values:
        best = max(best, value)
    return int(best)


@jit_plain
def _largest_of_parts(values: np.ndarray, size: int, out: np.ndarray) -> None:
    for part in range(len(out)):
        out[part] = _largest(values[part * size : (part + 1) * size])


@jit
def _made(count: int) -> np.ndarray:
    out = np.zeros(count, np.int64)
    kept = [out]
    return kept[0]


def test_it_counts_none_where_it_slices_and_calls() -> None:
    values, out = np.arange(12), np.zeros(3, np.int64)
    _largest_of_parts(values, 4, out)
    assert out.tolist() == [3, 7, 11]
    assert not any("NRT_incref" in code for code in _largest_of_parts.inspect_llvm().values())


def test_one_that_returns_an_array_counts() -> None:
    assert _made(3).tolist() == [0, 0, 0]
    assert any("NRT_incref" in code for code in _made.inspect_llvm().values())
