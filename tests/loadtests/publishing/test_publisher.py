import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.connections.frames import Walker, identifier, marker
from loadtests.publishing.publications import Answers, Messages
from loadtests.schedule.timetable import ACKNOWLEDGED, REFUSED, Timetable
from monitor.contract.target import Publish

RUN = "0a1b2c3d"
WRAPPED = Publish(message='{"type":"publish","events":[{event}]}', id_field="id")

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
events = st.dictionaries(texts, st.one_of(st.integers(), texts, st.booleans()), max_size=4)


def messages(recorded: list[dict[str, object]], publish: Publish = WRAPPED) -> Messages:
    return Messages(publish, RUN, recorded, np.arange(len(recorded)))


@given(st.lists(events, min_size=1, max_size=4))
def test_a_message_is_the_recorded_event_with_its_own_id_and_a_fresh_time(
    recorded: list[dict[str, object]],
) -> None:
    built = messages(recorded)
    for number, event in enumerate(recorded):
        (sent,) = json.loads(built.build(number))["events"]
        assert sent["id"] == identifier(RUN, number)
        assert sent["timestamp"].endswith("Z")
        changed = {"id": sent["id"], "timestamp": sent["timestamp"]}
        assert sent == {**event, **changed}


def test_the_receivers_find_the_number_a_publisher_wrote() -> None:
    publish = Publish(message="{event}", id_field="key")
    payload = Messages(publish, RUN, [{"a": 1}], np.zeros(5000, np.int64)).build(4321)
    length = bytes((len(payload),)) if len(payload) < 126 else b"\x7e" + len(payload).to_bytes(2)
    assert Walker(marker(RUN)).feed(b"\x81" + length + payload) == [4321]


@pytest.fixture
def timetable(tmp_path: Path) -> Timetable:
    return Timetable.create(tmp_path / "timetable", np.arange(4, dtype=np.int64) * 1000, 2000)


def test_answers_are_matched_in_order_and_other_texts_ignored(timetable: Timetable) -> None:
    answers = Answers(timetable, b'"ack"', b'"error"')
    answers.read([b'{"type":"ack"}', b'{"type":"news"}', b'{"type":"error"}', b'{"type":"ack"}'])
    assert timetable.fate.tolist() == [ACKNOWLEDGED, REFUSED, ACKNOWLEDGED, 0]
    assert (answers.acknowledged, answers.refused) == (2, 1)
    assert answers.first_refusal == '{"type":"error"}'
    assert answers.owed(4)
    assert not answers.owed(3)


@pytest.mark.parametrize(
    ("answers", "first"),
    [("", 0), ("a", 1), ("ar", 1), ("arr", 1), ("rra", 3), ("rar", 2), ("rr", 0)],
)
def test_an_outage_begins_with_what_was_refused_right_before_the_connection_went(
    timetable: Timetable, answers: str, first: int
) -> None:
    given = Answers(timetable, b'"ack"', b'"error"')
    given.read([{"a": b'{"type":"ack"}', "r": b'{"type":"error"}'}[one] for one in answers])
    assert given.cut_off_at() == first


def test_a_timetable_is_shared_between_its_openers(timetable: Timetable, tmp_path: Path) -> None:
    other = Timetable(tmp_path / "timetable")
    timetable.start(5_000)
    timetable.sent_ns[3] = 77
    assert other.due_ns.tolist() == [5_000, 6_000, 7_000, 8_000]
    assert (other.events, other.window_first) == (4, 2)
    assert other.sent_ns[3] == 77
    assert other.due_before(7_000) == 2


def test_a_recorded_event_with_its_own_id_gets_ours() -> None:
    built = messages([{"id": "theirs", "timestamp": "2025-01-01T00:00:00Z", "type": "x"}])
    (sent,) = msgspec.json.decode(built.build(0))["events"]
    assert sent["id"] == identifier(RUN, 0)
    assert list(sent) == ["id", "timestamp", "type"]
