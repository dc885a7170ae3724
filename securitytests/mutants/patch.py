"""Removes one defence from loaded code. What it cannot find, or does not change, is an error."""

import ast
import importlib
import inspect
import textwrap
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

from monitor.contract.verdicts import WsproofError


class MutantDefectError(WsproofError):
    """The mutant no longer fits the code it is to change: mend the mutant."""


class Patch:
    """Changes functions in place, so that everyone who holds them has the change.

    `where` is `module:name` or `module:Class.method`, of the monitor or of a library it uses.
    """

    def __init__(self) -> None:
        self.changes = 0
        self._sources: dict[FunctionType, str] = {}

    def text(self, where: str, old: str, new: str) -> None:
        """Replace one snippet of a function's source, which must stand in it exactly once.

        Leading blanks of lines count from the `def`, which stands at the margin.

        Raises:
            MutantDefectError: the snippet does not stand there once, or nothing changes.
        """
        function = _function(where)
        source = self._sources.get(function)
        if source is None:
            source = textwrap.dedent(inspect.getsource(function))
        if source.count(old) != 1:
            raise MutantDefectError(
                f"mutant: {where} has {source.count(old)} times, not once: {old!r}"
            )
        changed = source.replace(old, new)
        code = _compile(changed, function)
        if _same(code, function.__code__):
            raise MutantDefectError(f"mutant: {where}: the change changes nothing")
        try:
            function.__code__ = code
        except ValueError as error:
            raise MutantDefectError(f"mutant: {where} cannot be changed: {error}") from error
        self._sources[function] = changed
        self.changes += 1

    def value(self, where: str, new: Any) -> None:
        """Replace a module's or a class's attribute, which must be there and differ.

        Whoever imported the name into a module of its own keeps the old value.

        Raises:
            MutantDefectError: there is none, or it has this value.
        """
        owner, name = _owner(where)
        if not hasattr(owner, name) or getattr(owner, name) == new:
            raise MutantDefectError(f"mutant: {where} is missing or is {new!r} anyway")
        setattr(owner, name, new)
        self.changes += 1

    def wrap(self, where: str, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        """Replace a function by what `wrapper` makes of it.

        Raises:
            MutantDefectError: there is none, or the wrapper returns it as it was.
        """
        owner, name = _owner(where)
        original = getattr(owner, name, None)
        if not callable(original):
            raise MutantDefectError(f"mutant: {where} is no function")
        wrapped = wrapper(original)
        if wrapped is original:
            raise MutantDefectError(f"mutant: {where}: the change changes nothing")
        setattr(owner, name, wrapped)
        self.changes += 1


def _owner(where: str) -> tuple[Any, str]:
    module, _, path = where.partition(":")
    try:
        owner: Any = importlib.import_module(module)
        *steps, name = path.split(".")
        for step in steps:
            owner = getattr(owner, step)
    except (ImportError, AttributeError) as error:
        raise MutantDefectError(f"mutant: {where} is not there any more: {error}") from error
    return owner, name


def _function(where: str) -> FunctionType:
    owner, name = _owner(where)
    found = inspect.getattr_static(owner, name, None)
    if isinstance(found, property):
        found = found.fget
    found = getattr(found, "__func__", found)
    if not isinstance(found, FunctionType):
        raise MutantDefectError(f"mutant: {where} is no function any more")
    return found


def _compile(source: str, function: FunctionType) -> CodeType:
    """Compile the source of one function and return the function's code."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise MutantDefectError(f"mutant: {function.__qualname__}: {error}") from error
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef)  # noqa: S101
    definition.decorator_list = []
    module = compile(tree, f"<mutant of {function.__qualname__}>", "exec")
    codes = (one for one in module.co_consts if isinstance(one, CodeType))
    return next(one for one in codes if one.co_name == definition.name)


def _same(one: CodeType, other: CodeType) -> bool:
    """Tell whether two code objects do the same, wherever they stand."""
    return (one.co_code, _constants(one), one.co_names) == (
        other.co_code,
        _constants(other),
        other.co_names,
    )


def _constants(code: CodeType) -> tuple[Any, ...]:
    return tuple(_constants(one) if isinstance(one, CodeType) else one for one in code.co_consts)
