"""Planted control characters: where they count as obeyed, and how fields are filled with them."""

import json
from pathlib import Path

import pytest

from monitor.contract.target import load_target
from securitytests.catalogue.leaks.injection import _decoded, _judged
from securitytests.catalogue.leaks.plants import ANY_CONTROL, CONTROLS, UNESCAPED, plants
from securitytests.probe.client import event_of_type, event_with

REFERENCE = load_target(Path(__file__).parents[2] / "monitor" / "target.toml")


@pytest.mark.parametrize("plant", plants(), ids=lambda plant: plant.control)
def test_a_control_character_counts_where_it_stands_as_it_is(plant):
    assert plant.obeyed_in(f"info: said {plant.text} then")
    assert not plant.obeyed_in(f"info: said {plant.text!r} then")
    assert not plant.obeyed_in(json.dumps({"message": plant.text}))
    assert not plant.obeyed_in("info: nothing of it")


def test_a_line_end_that_reading_made_of_another_counts_too():
    planted = {plant.control: plant for plant in plants()}
    assert planted["CR LF"].obeyed_in(planted["CR LF"].text.replace("\r\n", "\n"))


def test_of_what_json_lets_pass_only_a_promise_speaks():
    planted = plants()
    message = json.dumps({"a": [{"b": "".join(plant.text for plant in planted)}]})
    assert _judged(planted, [message], UNESCAPED).verdict == "PASS"
    found = _judged(planted, _decoded(planted, [message]), ANY_CONTROL)
    assert (found.verdict, found.actual) == ("FAIL", f"behind {', '.join(CONTROLS)}")


def test_what_cannot_be_read_proves_nothing():
    assert _judged(plants(), None, ANY_CONTROL).verdict == "INCONCLUSIVE"


def test_a_text_goes_into_an_event_of_a_type_that_has_the_field():
    path = event_with(REFERENCE, "m1", "path", "x")
    assert (path["type"], path["path"], path["id"]) == ("checkpoint_created", "x", "m1")
    assert "progress" not in path
    error = event_with(REFERENCE, "m1", "error", "x")
    assert (error["type"], error["phase"], error["error"]) == ("phase_failed", "writer", "x")
    assert event_with(REFERENCE, "m1", "message", "x")["type"] == "phase_progress"
    assert event_with(REFERENCE, "m1", "unheard_of", "x")["unheard_of"] == "x"


def test_an_event_of_a_type_has_what_every_such_event_has():
    failed = event_of_type(REFERENCE, "m1", "phase_failed")
    assert (failed["type"], failed["phase"], failed["error"]) == ("phase_failed", "writer", "x")
    assert (failed["id"], "progress" in failed) == ("m1", False)
    assert event_of_type(REFERENCE, "m1", "phase_start", message="y")["message"] == "y"
