"""The wire: what is read from a client's message, and what is refused."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor import wire
from tests.monitor.kit import event

PUBLISH = '{{"type":"publish","events":[{},{}]}}'
ONE = json.dumps(event())
DOUBLED = ONE[:-1] + ',"message":"harmless","message":"other"}'


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"ping","ref":1,"ref":2}',
        '{"type":"ping","type":"ping"}',
        '{"type":"ping","ref":null,"ref":null}',
        '{"type":"ping","ref":1,"re\\u0066":1}',
        '{"type":"auth","token":"one","token":"two"}',
        '{"type":"auth","token":"one","token":"one"}',
        '{"type":"ping","ref":1,"ref":"\\u0022\\u0022"}',
        '{"type":"subscribe","phases":["a\\"","b"],"phases":["a"]}',
        '{"type":"subscribe","since":{"epoch":"e","offset":1,"offset":2}}',
        PUBLISH.format(ONE, ONE)[:-1] + f',"events":[{ONE}]}}',
        f'{{"type":"publish","events":[{DOUBLED}],"events":[{ONE}]}}',
    ],
)
def test_a_message_in_which_a_key_stands_twice_is_refused(text):
    with pytest.raises(wire.MalformedMessageError, match="a key stands twice") as refused:
        wire.decode(text)
    assert refused.value.code is wire.ErrorCode.BAD_MESSAGE


@pytest.mark.parametrize(
    ("events", "index"), [((DOUBLED, ONE), 0), ((ONE, DOUBLED), 1), ((DOUBLED, DOUBLED), 0)]
)
def test_an_event_in_which_a_key_stands_twice_refuses_its_publication(events, index):
    with pytest.raises(wire.MalformedMessageError, match="a key stands twice") as refused:
        wire.decode(PUBLISH.format(*events))
    assert (refused.value.code, refused.value.index) == (wire.ErrorCode.INVALID_EVENT, index)


def test_a_message_with_one_token_is_read():
    message = wire.decode('{"type":"auth","token":"one","ref":7}')
    assert (message.token, message.ref) == ("one", 7)


# A model: objects are lists of pairs, so that a key may stand twice, spelled in one way or another.

_TEXTS = st.text(st.sampled_from('ab"\\:,{}é\n '), min_size=1, max_size=8)
_PERCENT = st.integers(0, 100) | st.floats(0, 100, allow_subnormal=False)
_EVENT = {
    "type": st.just("phase_update"),
    "timestamp": st.sampled_from(["2025-01-01T12:00:00Z", "2025-01-01T12:00:00.5+00:00"]),
    "phase": _TEXTS,
    "run": _TEXTS,
    "id": _TEXTS,
    "message": _TEXTS,
    "progress": _PERCENT,
}
_ENVELOPE = {"ref": st.none() | st.integers(0, 9) | _TEXTS, "token": st.none() | _TEXTS}
_SINCE = {"epoch": _TEXTS, "offset": st.integers(0, 9)}


class Pairs(list):
    """An object of JSON, with each of its keys as often as it stands there."""

    def is_single(self):
        return len({key for key, _ in self}) == len(self)


def _objects(fields, required=()):
    """Objects of these fields: now and then one stands there again, with another value."""
    pair = st.sampled_from(sorted(fields)).flatmap(lambda key: st.tuples(st.just(key), fields[key]))
    once = st.fixed_dictionaries(
        {key: fields[key] for key in required},
        optional={key: fields[key] for key in fields if key not in required},
    ).map(lambda chosen: list(chosen.items()))
    again = st.just([]) | st.lists(pair, max_size=2)
    return (
        st.tuples(once, again)
        .map(lambda parts: parts[0] + parts[1])
        .flatmap(lambda pairs: st.permutations(pairs).map(Pairs))
    )


_EVENTS = st.lists(_objects(_EVENT, ("type", "timestamp")), min_size=1, max_size=3)
_MESSAGES = st.one_of(
    _objects({**_ENVELOPE, "type": st.just("ping")}, ("type",)),
    _objects({**_ENVELOPE, "type": st.just("publish"), "events": _EVENTS}, ("type", "events")),
    _objects(
        {
            **_ENVELOPE,
            "type": st.just("subscribe"),
            "phases": st.none() | st.lists(_TEXTS, max_size=3),
            "types": st.none() | st.just(["phase_start", "phase_update"]),
            "run": st.none() | _TEXTS,
            "since": st.none() | _objects(_SINCE, ("epoch", "offset")),
        },
        ("type",),
    ),
)


def _written(value, spell):
    """Return a value of the model as JSON; `spell` writes each string."""
    if isinstance(value, Pairs):
        pairs = (f"{spell(key)}: {_written(item, spell)}" for key, item in value)
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + " ,".join(_written(item, spell) for item in value) + "]"
    return spell(value) if isinstance(value, str) else json.dumps(value)


def _escaped(text):
    return '"' + "".join(f"\\u{ord(character):04x}" for character in text) + '"'


def _as_it_is(text):
    return json.dumps(text, ensure_ascii=False)


def _all_single(value):
    if isinstance(value, Pairs):
        return value.is_single() and all(_all_single(item) for _, item in value)
    return not isinstance(value, list) or all(_all_single(item) for item in value)


@given(_MESSAGES, st.sampled_from([json.dumps, _as_it_is, _escaped]))
@example(Pairs([("type", "ping"), ("ref", 1), ("ref", '""')]), _escaped)
def test_exactly_the_messages_in_which_a_key_stands_twice_are_refused(message, spell):
    text = _written(message, spell)
    if _all_single(message):
        wire.decode(text)
    else:
        with pytest.raises(wire.MalformedMessageError, match="a key stands twice"):
            wire.decode(text)
