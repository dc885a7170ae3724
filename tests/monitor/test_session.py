"""One connection's state machine, driven without a socket on a clock the tests set."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.effects import Abort, ProtocolPing, Silence, Store, Stream
from monitor.tokens import Scope

from .kit import EPOCH, Client, event, readable, token

PUBLISH = {"type": "publish", "events": [event()]}


def test_a_client_without_a_token_is_asked_for_one():
    client = Client()
    assert readable(client.session.open(None, 0.0)) == [{"type": "auth_required"}]


def test_auth_ok_comes_first_and_a_subscriber_is_subscribed_to_everything():
    client = Client()
    welcome, stream = client.say({"type": "auth", "token": token(), "ref": "r1"})
    assert welcome == {
        "type": "auth_ok",
        "ref": "r1",
        "subject": "alice",
        "scope": ["subscribe"],
        "expires_at": int(EPOCH) + 3600,
        "idle_timeout": 300.0,
    }
    assert stream == Stream(None)


@pytest.mark.parametrize(
    ("scopes", "stream"),
    [
        ((Scope.SUBSCRIBE,), False),
        ((Scope.PUBLISH,), True),
        ((Scope.SUBSCRIBE, Scope.PUBLISH), True),
    ],
)
def test_publishers_and_clients_with_stream_off_stay_silent(scopes, stream):
    client = Client(stream=stream)
    assert len(client.say({"type": "auth", "token": token(*scopes)})) == 1


@pytest.mark.parametrize(
    "message",
    [
        PUBLISH,
        {"type": "subscribe"},
        {"type": "ping"},
        {"type": "auth"},
        {"type": "auth", "token": "no"},
        {"type": "auth", "token": token(subject="bob", at=-7200.0)},
    ],
)
def test_nothing_is_handled_before_authentication_and_failures_end_with_4401(message):
    client = Client()
    refusal, closed = client.say(message)
    assert (refusal["type"], refusal["code"]) == ("error", "unauthorized")
    assert closed[0] == 4401
    assert client.say({"type": "auth", "token": token()}) == []


@pytest.mark.parametrize("text", ["not json", '{"type":"auth","token":"a","token":"b"}'])
def test_what_is_no_message_before_authentication_ends_with_4400(text):
    client = Client()
    refusal, closed = client.say(text)
    assert refusal["code"] == "bad_message"
    assert closed == (4400, "bad message")


def test_the_eleventh_failed_authentication_of_an_address_ends_with_4429():
    client = Client()
    closes = []
    for _ in range(11):
        client.session = type(client.session)(client.rules, "192.0.2.1", 0.0, stream=True)
        closes.append(client.say({"type": "auth", "token": "no"})[-1][0])
    assert closes == [4401] * 10 + [4429]


def test_the_authentication_deadline_closes_with_4408():
    client = Client()
    assert client.due(9.99) == []
    assert client.due(10.0) == [(4408, "authentication deadline")]


def test_a_publisher_gets_its_events_stored_complete():
    client = Client().opened(Scope.PUBLISH)
    (store,) = client.say({**PUBLISH, "ref": 7})
    assert isinstance(store, Store)
    assert (store.subject, store.ref) == ("alice", 7)
    assert store.events[0].status == "in_progress"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"progress": 101}, "progress"),
        ({"colour": "red"}, "colour"),
        ({"phase": ""}, "phase"),
        ({"timestamp": "2025-01-01T12:00:00"}, "timestamp"),
        ({"timestamp": "2025-01-01T12:00:00+02:00"}, "UTC"),
        ({"type": "phase_complete", "progress": 99}, "progress 100"),
        ({"path": "x"}, "path"),
        ({"offset": 3}, "offset"),
        ({"type": "phase_failed"}, "error"),
    ],
)
def test_one_bad_event_refuses_the_whole_batch_and_is_named_by_its_index(change, said):
    client = Client().opened(Scope.PUBLISH)
    events = [event(), event(), {**event(), **change}]
    (refusal,) = client.say({"type": "publish", "events": events})
    assert refusal["type"] == "error"
    assert refusal["index"] == 2
    assert said in refusal["message"]
    assert refusal["retryable"] is False


def test_an_error_never_repeats_the_value_that_was_wrong():
    client = Client().opened(Scope.PUBLISH)
    for change in ({"status": "s3cr3t"}, {"type": "s3cr3t"}, {"progress": "s3cr3t"}):
        (refusal,) = client.say({"type": "publish", "events": [event(**change)]})
        assert "s3cr3t" not in str(refusal)


@pytest.mark.parametrize(
    ("scope", "message"),
    [(Scope.SUBSCRIBE, PUBLISH), (Scope.PUBLISH, {"type": "subscribe"})],
)
def test_each_action_needs_its_scope(scope, message):
    client = Client().opened(scope)
    (refusal,) = client.say(message)
    assert refusal["code"] == "forbidden"


def test_a_fresh_token_of_the_same_subject_extends_the_connection():
    client = Client().opened(ttl_s=100.0)
    (renewed,) = client.say({"type": "auth", "token": token(ttl_s=500.0, at=50.0)}, at=50.0)
    assert renewed["expires_at"] == EPOCH + 550
    assert client.due(101.0) == [ProtocolPing()]
    client.session.pong()
    assert client.due(299.0) != [(4401, "token expired")]


def test_a_token_of_another_subject_ends_with_4403():
    client = Client().opened()
    assert client.say({"type": "auth", "token": token(subject="bob")}) == [
        (4403, "another subject")
    ]


def test_a_message_with_a_bad_token_of_its_own_is_refused_despite_a_good_handshake():
    client = Client().opened(Scope.PUBLISH)
    refusal, closed = client.say({**PUBLISH, "token": "no"})
    assert refusal["code"] == "unauthorized"
    assert closed[0] == 4401


def test_a_message_with_a_good_token_of_its_own_is_handled():
    client = Client().opened(Scope.PUBLISH)
    (store,) = client.say({**PUBLISH, "token": token(Scope.PUBLISH)})
    assert isinstance(store, Store)


def test_a_message_with_another_subjects_token_ends_with_4403():
    client = Client().opened(Scope.PUBLISH)
    own = {**PUBLISH, "token": token(Scope.PUBLISH, subject="bob")}
    assert client.say(own) == [(4403, "another subject")]


def test_expiry_stops_the_next_message():
    client = Client().opened(Scope.PUBLISH, ttl_s=100.0)
    assert isinstance(client.say(PUBLISH, at=99.9)[0], Store)
    assert client.say(PUBLISH, at=100.0) == [(4401, "token expired")]


def test_expiry_is_a_deadline_of_silent_clients_too():
    client = Client().opened(ttl_s=10.0)
    assert client.session.next_deadline() == 10.0
    assert client.due(10.0) == [(4401, "token expired")]


def test_the_hundred_and_first_message_is_refused_with_a_truthful_wait():
    client = Client().opened()
    for _ in range(100):
        assert client.say({"type": "ping"}, at=1.0) == [{"type": "pong"}]
    (refusal,) = client.say({"type": "ping", "ref": "x"}, at=31.0)
    assert refusal["code"] == "rate_limited"
    assert refusal["retry_after"] == pytest.approx(30.0)
    assert refusal["retryable"] is True
    assert refusal["ref"] == "x"
    assert client.say({"type": "ping"}, at=31.0 + refusal["retry_after"]) == [{"type": "pong"}]


def test_malformed_messages_count_as_requests():
    client = Client().opened()
    for _ in range(100):
        assert client.say("nonsense")[0]["code"] == "bad_message"
    assert client.say({"type": "ping"})[0]["code"] == "rate_limited"


def test_the_twentieth_refused_message_ends_with_4429():
    client = Client(requests_per_window=1).opened()
    client.say({"type": "ping"})
    answers = [client.say({"type": "ping"}) for _ in range(20)]
    assert [len(answer) for answer in answers] == [1] * 19 + [2]
    assert answers[-1][1] == (4429, "over the limit")


def test_valid_publications_do_not_use_up_requests():
    client = Client(requests_per_window=1).opened(Scope.PUBLISH)
    for _ in range(50):
        assert isinstance(client.say(PUBLISH)[0], Store)
    assert client.say({"type": "ping"}) == [{"type": "pong"}]


def test_invalid_publications_use_up_requests():
    client = Client(requests_per_window=1).opened(Scope.PUBLISH)
    bad = {"type": "publish", "events": [event(path="x")]}
    assert client.say(bad)[0]["code"] == "invalid_event"
    assert client.say(bad)[0]["code"] == "rate_limited"


def test_the_publishing_quota_is_of_the_subject_and_tells_when_it_is_free_again():
    client = Client(publish_events_per_s=10).opened(Scope.PUBLISH)
    batch = {"type": "publish", "events": [event()] * 10}
    assert isinstance(client.say(batch, at=5.0)[0], Store)
    (refusal,) = client.say(PUBLISH, at=5.0)
    assert refusal["code"] == "rate_limited"
    assert isinstance(client.say(PUBLISH, at=5.0 + refusal["retry_after"])[0], Store)


def test_a_batch_above_the_quota_is_told_to_split_not_to_wait():
    client = Client(publish_events_per_s=10).opened(Scope.PUBLISH)
    (refusal,) = client.say({"type": "publish", "events": [event()] * 11})
    assert refusal["retryable"] is False
    assert "retry_after" not in refusal


def test_the_twentieth_batch_above_the_quota_ends_with_4429():
    client = Client(publish_events_per_s=10).opened(Scope.PUBLISH)
    batch = {"type": "publish", "events": [event()] * 11}
    answers = [client.say(batch, at=float(at)) for at in range(20)]
    assert [len(answer) for answer in answers] == [1] * 19 + [2]
    assert answers[-1][1] == (4429, "over the limit")


def test_publications_are_refused_while_shutting_down():
    client = Client().opened(Scope.PUBLISH)
    client.rules.accepting = False
    (refusal,) = client.say(PUBLISH)
    assert (refusal["code"], refusal["retryable"]) == ("unavailable", True)


def test_subscribe_replaces_filter_and_cursor():
    client = Client().opened()
    message = {
        "type": "subscribe",
        "phases": ["writer"],
        "run": "r",
        "since": {"epoch": "e", "offset": 4},
        "ref": 1,
    }
    (stream,) = client.say(message)
    assert isinstance(stream, Stream)
    assert stream.filter.phases == {"writer"}
    assert (stream.since.epoch, stream.since.offset, stream.ref) == ("e", 4, 1)


def test_unsubscribe_silences():
    client = Client().opened()
    assert client.say({"type": "unsubscribe"}) == [Silence(), {"type": "unsubscribed"}]


def test_a_silent_client_is_closed_when_idle_though_it_answers_pings():
    client = Client().opened()
    closed: list[object] = []
    at = 0.0
    while not closed:
        at = client.session.next_deadline()
        closed = client.due(at)
        if closed == [ProtocolPing()]:
            client.session.pong()
            closed = []
    assert closed == [(4408, "idle timeout")]
    assert at == 300.0


@given(st.floats(0, 100), st.floats(0.1, 100))
def test_what_is_asked_for_at_a_deadline_is_due_then_whatever_the_rounding(late_s, interval_s):
    client = Client(ping_interval_s=interval_s, ping_timeout_s=interval_s, idle_timeout_s=1000)
    client.opened()
    assert client.due(interval_s + late_s) == [ProtocolPing()]
    client.session.pong()
    assert client.due(client.session.next_deadline()) == [ProtocolPing()]
    assert client.due(client.session.next_deadline()) == [(4408, "no answer to ping")]


@pytest.mark.parametrize(("drained", "closed"), [(True, []), (False, [(4408, "idle timeout")])])
def test_delivery_is_activity_once_it_has_left_the_buffer(drained, closed):
    client = Client(ping_interval_s=1000).opened()
    client.session.delivering(200.0, drained=True)
    assert client.due(300.0, drained=drained) == closed


@pytest.mark.parametrize("drained", [True, False])
def test_who_reads_what_came_before_is_active_though_the_next_is_always_under_way(drained):
    client = Client(ping_interval_s=1000).opened()
    for at in (100.0, 200.0, 299.9):
        client.session.delivering(at, drained=drained)
    closed = client.due(300.0, drained=False)
    assert closed == ([] if drained else [(4408, "idle timeout")])


def test_a_peer_that_reads_on_after_falling_behind_is_active():
    client = Client(ping_interval_s=1000).opened()
    client.session.delivering(100.0, drained=True)
    client.session.resumed(150.0)
    assert client.due(449.0, drained=False) == []
    assert client.due(450.0, drained=False) == [(4408, "idle timeout")]


def test_a_peer_that_answers_no_ping_is_closed():
    client = Client().opened()
    assert client.due(20.0) == [ProtocolPing()]
    assert client.due(39.9) == []
    assert client.due(40.0) == [(4408, "no answer to ping")]


def test_a_peer_that_never_finishes_its_close_is_dropped():
    client = Client().opened()
    client.session.revoked(3.0)
    assert client.due(7.9) == []
    assert client.due(8.0) == [Abort()]


def test_nothing_follows_a_close():
    client = Client().opened(Scope.PUBLISH)
    assert readable(client.session.revoked(1.0)) == [(4401, "token no longer valid")]
    assert client.say(PUBLISH) == []
    assert client.session.close(4400, "again", 2.0) == []


def test_a_bad_token_in_a_message_over_the_limit_is_refused_like_any_other():
    client = Client(requests_per_window=1, strikes=3).opened()
    assert client.say({"type": "ping"}) == [{"type": "pong"}]
    (refusal,) = client.say({"type": "ping", "token": "bad", "ref": 1})
    assert (refusal["code"], refusal["ref"]) == ("rate_limited", 1)
    assert client.session.closing_since is None
    (refusal,) = client.say({"type": "ping"})
    assert refusal["code"] == "rate_limited"
    assert client.say({"type": "ping"})[1] == (4429, "over the limit")


def test_a_renewal_that_may_not_subscribe_ends_the_stream():
    client = Client().opened(Scope.SUBSCRIBE, Scope.PUBLISH)
    welcome, silence, told = client.say({"type": "auth", "token": token(Scope.PUBLISH)})
    assert welcome["scope"] == ["publish"]
    assert silence == Silence()
    assert told == {"type": "unsubscribed"}
    assert len(client.say({"type": "auth", "token": token(Scope.PUBLISH)})) == 1


def test_a_token_that_ends_earlier_than_it_said_ends_its_connection_then():
    client = Client(idle_timeout_s=5000, ping_interval_s=5000).opened()
    client.session.ends_by(EPOCH + 60.0, 0.0)
    assert client.session.next_deadline() == 60.0
    assert client.due(60.0) == [(4401, "token expired")]
    assert client.session.revoked(61.0) == []  # closing already: once is enough


def test_refusals_of_messages_are_told_apart_and_carry_their_reference():
    client = Client().opened(Scope.PUBLISH)
    for message, code in (
        ({"type": "subscribe", "ref": 8, "phases": 3}, "bad_message"),
        ({"type": "nope", "ref": 8}, "bad_message"),
        ({"type": "publish", "ref": 8, "events": []}, "bad_message"),
        ({"type": "publish", "ref": 8, "events": [event(), event(colour=1)]}, "invalid_event"),
    ):
        (refusal,) = client.say(message)
        assert (refusal["code"], refusal["ref"]) == (code, 8)
    assert refusal["index"] == 1
    assert "ref" not in client.say('{"type":"ping","ref":1')[0]


def test_refused_messages_of_long_ago_do_not_add_up():
    client = Client(requests_per_window=1, strikes=2, window_s=10.0, idle_timeout_s=600).opened()
    for window in range(4):
        assert client.say({"type": "ping"}, at=20.0 * window + 1) == [{"type": "pong"}]
        assert len(client.say({"type": "ping"})) == 1


@pytest.mark.parametrize("batch", [True, False])
def test_a_secret_split_between_events_is_redacted_in_one_publication_and_in_two(batch):
    client = Client().opened(Scope.PUBLISH)
    events = [event(message="id AKIAIOSFODNN7"), event(message="EXAMPLE! it was")]
    groups = [events] if batch else [[one] for one in events]
    stored = [
        one
        for group in groups
        for one in client.say({"type": "publish", "events": group})[0].events
    ]
    assert [one.message for one in stored] == ["id AKIAIOSFODNN7", "[redacted:split]! it was"]
