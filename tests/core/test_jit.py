"""What compiled functions may return."""

import ast
from pathlib import Path
from typing import Any

import numba
import numpy as np

import tracer
from tracer.core.jit import inner_plain, jit, jit_plain

ROOT = Path(tracer.__file__).parent.parent
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): ast.parse(path.read_text())
    for path in sorted((ROOT / "tracer").rglob("*.py"))
}
PLAIN = {"jit_plain", "inner_plain"}
NUMBERS = {"None", "bool", "int", "float", "tuple", "Any"}


def compiled() -> dict[str, ast.FunctionDef]:
    """Functions with a decorator, by module and name."""
    return {
        f"{module}.{node.name}": node
        for module, tree in MODULES.items()
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.decorator_list
    }


def names_of(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def is_plain(node: ast.FunctionDef) -> bool:
    return bool({name for each in node.decorator_list for name in names_of(each)} & PLAIN)


def returns_arrays(node: ast.FunctionDef) -> bool:
    return node.returns is None or not names_of(node.returns) <= NUMBERS


def called_by(name: str, node: ast.FunctionDef) -> set[str]:
    module = name.rpartition(".")[0]
    imported = {
        alias.asname or alias.name: f"{each.module}.{alias.name}"
        for each in MODULES[module].body
        if isinstance(each, ast.ImportFrom)
        for alias in each.names
    }
    calls = [each.func for each in ast.walk(node) if isinstance(each, ast.Call)]
    used = {each.id for each in calls if isinstance(each, ast.Name)}
    return {imported.get(each, f"{module}.{each}") for each in used}


def test_functions_that_count_no_references_return_no_arrays_and_are_given_none() -> None:
    functions = compiled()
    plain = {name: node for name, node in functions.items() if is_plain(node)}
    assert len(plain) > 100
    assert [name for name, node in plain.items() if returns_arrays(node)] == []
    arrays = {name for name, node in functions.items() if returns_arrays(node)}
    assert "tracer.correlate.hashing.filled" in arrays
    assert {name: calls & arrays for name, node in plain.items()
            if (calls := called_by(name, node)) & arrays} == {}  # fmt: skip


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


def counts(function: Any, *arguments: object) -> bool:
    """Whether it counts references; compiled anew, as the cache has only machine code."""
    options = {name: value for name, value in function.targetoptions.items() if name != "nopython"}
    anew = numba.njit(**options)(function.py_func)
    anew(*arguments)
    return any("NRT_incref" in code for code in anew.inspect_llvm().values())


def test_it_counts_none_where_it_slices_and_calls() -> None:
    values, out = np.arange(12), np.zeros(3, np.int64)
    _largest_of_parts(values, 4, out)
    assert out.tolist() == [3, 7, 11]
    assert not counts(_largest_of_parts, values, 4, out)


def test_one_that_returns_an_array_counts() -> None:
    assert _made(3).tolist() == [0, 0, 0]
    assert counts(_made, 3)
