"""Patches of mutants: what they cannot find or do not change is an error."""

import sys
import types

import pytest

from securitytests.mutants.patch import MutantDefectError, Patch

SOURCE = '''
LIMIT = 10


def admit(count):
    """Tell whether one more is admitted."""
    if count < LIMIT:
        return True
    return False


class Door:
    @property
    def open(self):
        return self.wanted

    wanted = True
'''


@pytest.fixture
def small(tmp_path, monkeypatch):
    (tmp_path / "a_small_module.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    import a_small_module

    yield a_small_module
    del sys.modules["a_small_module"]


def test_a_snippet_is_replaced_for_everyone_who_holds_the_function(small):
    held, patch = small.admit, Patch()
    assert not held(10)
    patch.text("a_small_module:admit", "count < LIMIT", "count <= LIMIT")
    assert held(10)
    patch.text("a_small_module:admit", "return False", "return None")
    assert (held(10), held(11)) == (True, None)
    assert patch.changes == 2


def test_a_property_can_be_changed_and_a_constant(small):
    patch = Patch()
    patch.text("a_small_module:Door.open", "self.wanted", "not self.wanted")
    patch.value("a_small_module:LIMIT", 0)
    assert small.Door().open is False
    assert small.admit(0) is False


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda patch: patch.text("a_small_module:admit", "LIMIT + 1", "0"), "0 times"),
        (lambda patch: patch.text("a_small_module:admit", "return", "raise"), "2 times"),
        (lambda patch: patch.text("a_small_module:admit", "LIMIT:", "LIMIT :"), "nothing"),
        (lambda patch: patch.text("a_small_module:admit", "< LIMIT", "<"), "invalid syntax"),
        (lambda patch: patch.text("a_small_module:gone", "a", "b"), "no function"),
        (lambda patch: patch.text("gone_module:gone", "a", "b"), "not there any more"),
        (lambda patch: patch.value("a_small_module:LIMIT", 10), "is 10 anyway"),
        (lambda patch: patch.value("a_small_module:GONE", 10), "missing"),
        (lambda patch: patch.wrap("a_small_module:admit", lambda one: one), "changes nothing"),
    ],
)
def test_what_does_not_fit_or_changes_nothing_is_a_defect(small, change, message):
    with pytest.raises(MutantDefectError, match=message):
        change(Patch())


def test_a_function_can_be_wrapped(small):
    Patch().wrap("a_small_module:admit", lambda original: lambda count: not original(count))
    assert small.admit(0) is False
    assert isinstance(small, types.ModuleType)
