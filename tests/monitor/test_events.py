"""Events: which are accepted, what is filled in, what is cleaned, what is refused."""

from datetime import UTC, datetime

import msgspec
import pytest

from monitor.events import InvalidEventError, accept, encode_event, restore
from monitor.wire import MalformedMessageError, Publish, decode

from .kit import event


def accepted(**fields):
    """Return what one published event is stored as."""
    message = decode(msgspec.json.encode({"type": "publish", "events": [fields]}).decode())
    assert isinstance(message, Publish)
    clean, redactions = accept(message.events[0])
    return msgspec.json.decode(encode_event(clean, 7)), redactions


STAMP = "2025-01-01T12:00:00Z"


@pytest.mark.parametrize(
    ("fields", "filled"),
    [
        ({"type": "phase_start", "phase": "w"}, {"status": "in_progress", "progress": 0}),
        ({"type": "phase_progress", "phase": "w", "progress": 4.5}, {"status": "in_progress"}),
        ({"type": "phase_complete", "phase": "w"}, {"status": "completed", "progress": 100}),
        ({"type": "phase_failed", "phase": "w", "error": "e"}, {"status": "failed"}),
        ({"type": "checkpoint_created", "path": "p"}, {}),
        ({"type": "file_trashed", "path": "p", "phase": "w"}, {}),
        ({"type": "phase_update", "phase": "writer", "status": "in_progress", "progress": 45}, {}),
    ],
)
def test_each_type_is_accepted_with_what_it_needs_and_completed(fields, filled):
    stored, _ = accepted(timestamp=STAMP, **fields)
    assert stored == {"timestamp": STAMP, **fields, **filled, "offset": 7}


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "phase_start"},
        {"type": "phase_start", "phase": "w", "progress": 1},
        {"type": "phase_start", "phase": "w", "status": "failed"},
        {"type": "phase_progress", "phase": "w"},
        {"type": "phase_complete", "phase": "w", "error": "e"},
        {"type": "phase_failed", "phase": "w"},
        {"type": "checkpoint_created"},
        {"type": "file_trashed", "path": "p", "status": "completed"},
        {"type": "phase_update", "phase": "w", "status": "completed"},
        {"type": "phase_update", "phase": "w", "progress": 1},
    ],
)
def test_what_breaks_a_types_rule_is_refused(fields):
    with pytest.raises(InvalidEventError):
        accepted(timestamp=STAMP, **fields)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "phase_exploded"},
        {"progress": -1},
        {"progress": 100.5},
        {"progress": "45"},
        {"progress": None},
        {"phase": "x" * 129},
        {"message": "x" * 4097},
        {"timestamp": "yesterday"},
        {"timestamp": 1735732800},
        {"offset": 1},
        {"snapshot": True},
        {"password": "x"},
    ],
)
def test_what_the_schema_does_not_have_is_refused(change):
    with pytest.raises(MalformedMessageError) as refused:
        accepted(**event(**change))
    assert refused.value.index == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '{"type":"publish"}',
        '{"type":"publish","events":[]}',
        '{"type":"nonsense"}',
        '{"type":"ping","extra":1}',
        '{"type":"ping","ref":NaN}',
        '{"type":"ping","ref":"' + "x" * 65 + '"}',
        '{"type":"ping","ref":' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"type":"ping"}{"type":"ping"}',
        '{"type":"ping","ref":99999999999999999999999999}',
    ],
)
def test_what_is_no_message_is_refused_in_a_few_words(text):
    with pytest.raises(MalformedMessageError) as refused:
        decode(text)
    assert 0 < len(refused.value.public) <= 300


def test_an_unknown_fields_name_is_told_cleaned_and_cut():
    name = "token=eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJlc2lnbmF0dXJl\x1b[2J" + "x" * 500
    with pytest.raises(MalformedMessageError) as refused:
        accepted(**event(**{name: 1}))
    assert "eyJ" not in refused.value.public
    assert "\x1b" not in refused.value.public
    assert len(refused.value.public) <= 300


def test_secrets_in_free_text_are_replaced_and_counted():
    stored, redactions = accepted(
        type="phase_failed",
        phase="w",
        timestamp=STAMP,
        error="cannot read /home/alice/secret.md",
        message="ask bob@example.org",
    )
    assert redactions == 2
    assert "alice" not in str(stored)
    assert "bob" not in str(stored)


def test_control_characters_are_made_visible_in_free_text():
    stored, _ = accepted(**event(message="one\r\ntwo \x1b[31m \u202e"))
    assert all(text.isprintable() for text in stored.values() if isinstance(text, str))


@pytest.mark.parametrize("field", ["phase", "run", "id"])
@pytest.mark.parametrize(
    "name",
    [
        "a\x1b[31mb",
        "a\u200e",
        "a\ufeff",
        "line\nline",
        "password=hunter2",
        "ann.o@example.org",
        "/home/ann/book",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2ln",
    ],
)
def test_a_name_that_would_have_to_be_changed_is_refused_without_being_repeated(field, name):
    with pytest.raises(InvalidEventError) as refused:
        accepted(**event(**{field: name}))
    assert f"`{field}`" in str(refused.value)
    assert name not in str(refused.value)


@pytest.mark.parametrize(
    "name",
    [
        "7f1d0c9e-2c8b-4d35-9c3f-6a6f0f2a9b1e",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "2025-01-01T12:00:00Z build #12 (main)",
        "docs/chapters/01-introduction",
        "überarbeiten 章 🎉",
        "a\ufffd",
    ],
)
def test_a_name_stays_as_it_is(name):
    stored, _ = accepted(**event(phase=name, run=name, id=name))
    assert (stored["phase"], stored["run"], stored["id"]) == (name, name, name)


def test_a_stored_event_is_read_back_as_it_was():
    stored, _ = accepted(**event(message="m", run="r", id="i"))
    back = restore(msgspec.json.encode({**stored, "offset": 9}))
    assert (back.phase, back.run, back.id, back.progress) == ("writer", "r", "i", 45)
    assert back.offset == 9
    assert back.timestamp == datetime(2025, 1, 1, 12, tzinfo=UTC)
