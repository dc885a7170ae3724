"""Each service here, and the monitor itself, keeps what its profile says: tried, not believed."""

import json
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

import monitor
from monitor.contract.launch import Launch
from monitor.contract.target import fill, load_target
from tests.running import WSPROOF
from tests.services.visitor import address, page, publication, refusal, token, visit

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
#: Those on which the security gate is proven: they promise what the tests in this file are about.
TWINS = sorted(HERE.glob("*.toml"))
BROKER = HERE / "brokers" / "nchan.toml"
SERVICES = [*TWINS, BROKER]
REFERENCE = Path(monitor.__file__).parent / "target.toml"


def name_of(path):
    return load_target(path).name


def test_the_services_the_gate_is_proven_on_know_their_clients_and_the_broker_does_not():
    knowing = [path for path in SERVICES if load_target(path).signing is not None]
    assert (knowing, len(TWINS)) == (TWINS, 4)


@pytest.fixture(scope="module", params=[*TWINS, REFERENCE], ids=name_of)
def launch(request):
    with Launch(load_target(request.param).shortened()) as launched:
        yield launched


@pytest.fixture
def answers(launch):
    """What the profile says of each situation; a test is not for services that do not say."""
    return launch.target.answers


@pytest.fixture
def promises(launch):
    return launch.target.promises


def test_every_way_to_authenticate_lets_a_good_token_in_and_a_bad_one_not(launch, answers):
    good = launch.token("subscribe")
    for method in launch.target.authentication.methods:
        assert refusal(launch, good, method) == 0
        said = refusal(launch, good[:-9] + "AAAAAAAAA", method)
        refused = answers["unauthenticated"]
        assert said in (refused.close if method == "message" else refused.status), method


@pytest.mark.parametrize("kind", ["publish", "admin", "other_scope", "other_subject"])
def test_tokens_of_every_kind_are_to_be_had(launch, kind):
    assert refusal(launch, launch.token(kind)) == 0


def test_a_published_event_reaches_two_subscribers_with_its_identifier_and_no_other_field(launch):
    target = launch.target
    with ExitStack() as stack:
        readers = [stack.enter_context(visit(launch, token(launch))) for _ in range(2)]
        for reader in readers:
            reader.subscribe()
        writer = stack.enter_context(visit(launch, token(launch, "publish", "writer")))
        writer.publish("wsp-test-0000001")
        writer.hear(target.publish.acknowledged)
        for reader in readers:
            event = json.loads(reader.hear("wsp-test-0000001"))
            event = event[target.events.inside] if target.events.inside else event
            known = target.events.types[event["type"]]
            schema = (*target.events.required, *target.events.optional, *target.events.added)
            assert event.keys() <= {*schema, *known.required, *known.optional}


def test_a_filter_holds_back_what_it_does_not_name(launch):
    target = launch.target
    with visit(launch, token(launch)) as reader, visit(launch, token(launch, "publish")) as writer:
        reader.subscribe()
        reader.say(target.subscribe.filtered.replace("{value}", "lint"))
        reader.hear(target.subscribe.accepted)
        writer.publish("wsp-test-0000002")
        writer.publish("wsp-test-0000003", **{target.subscribe.filter_field: "lint"})
        assert "0000003" in reader.hear("wsp-test")


def test_an_expired_token_ends_a_silent_subscription_in_time(launch, answers, promises):
    with visit(launch, token(launch, lifetime_s=2)) as reader:
        reader.subscribe()
        # The token's whole seconds make up to one more.
        within_s = 2 + 1 + promises.expiry_deadline_s + promises.tolerance_s
        assert reader.close_code(within_s) in answers["expired"].close


@pytest.mark.parametrize("command", ["revoke", "disable"])
def test_rights_that_are_taken_away_end_a_silent_subscription_in_time(
    launch, answers, promises, command
):
    own = token(launch, subject="outcast")
    with visit(launch, own) as reader:
        reader.subscribe()
        order = getattr(launch.target.commands, command)
        launch.run(order, f"commands.{command}", token=own, subject="outcast")
        assert reader.close_code(promises.revocation_deadline_s + 1) in answers["revoked"].close
    assert refusal(launch, own) in {*answers["revoked"].status, *answers["revoked"].close}
    if command == "disable" and launch.target.commands.enable is not None:
        launch.run(launch.target.commands.enable, "commands.enable", subject="outcast")


def test_the_request_after_the_last_allowed_one_is_refused(launch, answers, promises):
    target, source = launch.target, address()
    allowed = promises.requests_per_window - 1 - (target.subscribe.message is not None)
    with visit(launch, token(launch), source=source) as reader:
        reader.subscribe()
        for _ in range(allowed + 1):  # all of them at once: the window is short
            reader.say(target.keepalive.message)
        for _ in range(allowed):
            reader.hear(target.keepalive.answer)
        refused = json.loads(reader.hear(answers["over_limit"].error))
        assert 0 < refused[target.retry_after.field] <= promises.window_s + 0.01
        assert refusal(launch, token(launch), "header", source=source) == 429


def test_the_connection_after_the_last_allowed_one_is_refused_until_one_ends(
    launch, answers, promises
):
    source, own = address(), token(launch)
    with ExitStack() as stack:
        for _ in range(promises.connections_per_address - 1):
            stack.enter_context(visit(launch, own, source=source))
        with visit(launch, own, source=source):
            assert (
                refusal(launch, own, "header", source=source)
                in answers["too_many_connections"].status
            )
        # A service learns of the end a moment after us, so the slot may be back a moment later.
        attempts = (refusal(launch, own, source=source) for _ in range(20))
        assert 0 in attempts


def test_a_foreign_page_is_refused_and_the_services_own_is_not(launch, answers):
    own = launch.target.url.split("/")[2]
    foreign = launch.target.origins.foreign[0]
    assert refusal(launch, token(launch), origin=foreign) in answers["foreign_origin"].status
    assert refusal(launch, token(launch), origin=f"http://{own}") == 0


def test_who_does_not_authenticate_in_time_is_closed(launch, answers, promises):
    began = time.monotonic()
    with visit(launch, None) as stranger:
        code = stranger.close_code(promises.authentication_deadline_s + promises.tolerance_s)
        assert code in answers["authentication_deadline"].close
    assert time.monotonic() - began >= promises.authentication_deadline_s


def test_who_is_idle_is_closed_in_time_and_who_is_not_stays(launch, answers, promises):
    with visit(launch, token(launch)) as idle, visit(launch, token(launch)) as active:
        asked = time.monotonic()
        idle.subscribe()
        began, code = time.monotonic(), None
        while code is None:
            active.say(launch.target.keepalive.message)
            active.hear(launch.target.keepalive.answer)
            code = idle.closed_within(0.2)
        assert code in answers["idle"].close
        ended = time.monotonic()
        assert ended - asked > promises.idle_timeout_s - 0.1
        assert ended - began < promises.idle_timeout_s + promises.tolerance_s + 0.2


def test_each_action_needs_its_scope(launch, answers):
    with visit(launch, token(launch)) as reader:
        reader.publish("wsp-test-0000004")
        reader.hear(answers["forbidden"].error)


@pytest.mark.parametrize("text", ["[]", "{", '{"a":NaN}', "[" * 5000, '{"kind":"?"}'])
def test_what_is_no_message_is_answered_and_the_connection_stays(launch, answers, text):
    with visit(launch, token(launch)) as reader:
        reader.say(text)
        reader.hear(answers["bad_message"].error)
        reader.say(launch.target.keepalive.message)
        reader.hear(launch.target.keepalive.answer)


def test_an_event_outside_the_schema_is_refused(launch, answers):
    with visit(launch, token(launch, "publish")) as writer:
        writer.publish("wsp-test-0000005", secret="x")
        writer.hear(answers["bad_event"].error)


def test_too_large_and_binary_messages_end_the_connection(launch, answers, promises):
    with visit(launch, token(launch)) as reader:
        reader.say("x" * (promises.max_message_bytes + 1))
        assert reader.close_code() in answers["too_big"].close
    with visit(launch, token(launch)) as reader:
        reader.connection.send(b"{}")
        assert reader.close_code() in answers["binary_message"].close


def test_a_message_with_a_bad_token_of_its_own_is_refused(launch, answers):
    with visit(launch, token(launch, "publish")) as writer:
        template = launch.target.publish.with_token.replace("{token}", "a.b.c")
        writer.say(publication(template, launch.target, "wsp-test-0000006"))
        assert writer.close_code() in answers["unauthenticated"].close


def test_another_subjects_token_does_not_change_who_one_is(launch, answers):
    with visit(launch, token(launch)) as reader:
        other = token(launch, subject="somebody-else")
        reader.say(launch.target.authentication.message.replace("{token}", other))
        assert reader.close_code() in answers["other_subject"].close


def test_health_is_open_and_metrics_need_an_administrators_token(launch, answers):
    pages = launch.target.pages
    assert page(launch, pages.open[0])[0] == 200
    assert page(launch, pages.metrics)[0] in answers["unauthenticated"].status
    assert page(launch, pages.metrics, token(launch))[0] in answers["forbidden"].status
    assert page(launch, pages.metrics, token(launch, "admin"))[0] == 200


def test_too_many_failures_are_throttled(launch, answers, promises):
    source, refused = address(), answers["too_many_failures"].status
    for _ in range(promises.failed_authentications):
        assert refusal(launch, "a.b.c", "header", source=source) not in refused
    assert refusal(launch, "a.b.c", "header", source=source) in refused


def test_who_was_away_gets_what_it_missed(launch):
    target = launch.target
    if target.resume is None:
        return  # nothing is promised, and nothing can be asked
    with visit(launch, token(launch)) as reader, visit(launch, token(launch, "publish")) as writer:
        reader.say(target.subscribe.message or target.subscribe.filtered)
        position = json.loads(reader.hear(target.subscribe.accepted))
        reader.connection.close()
        writer.publish("wsp-test-0000007")
        writer.hear(target.publish.acknowledged)
        values = {
            "epoch": position[target.resume.epoch_field],
            "offset": str(position[target.resume.offset_field]),
        }
        with visit(launch, token(launch)) as again:
            again.say(fill(target.resume.message, values))
            again.hear(target.resume.recovered)
            again.hear("wsp-test-0000007")
            again.say(fill(target.resume.message, {**values, "epoch": "another"}))
            again.hear(target.resume.lost)


@pytest.mark.parametrize("path", TWINS, ids=name_of)
def test_everyone_is_told_when_the_service_stops(path):
    with Launch(load_target(path)) as launched, visit(launched, token(launched)) as reader:
        launched.stop()
        assert reader.close_code() in launched.target.answers["shutdown"].close


def test_the_broker_lets_readers_read_and_writers_write_and_nobody_else_in():
    with Launch(load_target(BROKER).shortened()) as broker, ExitStack() as stack:
        own, refused = broker.token("subscribe"), broker.target.answers
        for method in broker.target.authentication.methods:
            assert refusal(broker, "x" * 43, method) in refused["unauthenticated"].status
        foreign = broker.target.origins.foreign[0]
        assert refusal(broker, own, origin=foreign) in refused["foreign_origin"].status
        readers = [stack.enter_context(visit(broker, own)) for _ in range(2)]
        writer = stack.enter_context(visit(broker, broker.token("publish")))
        writer.publish("wsp-test-0000008")
        writer.hear(broker.target.publish.acknowledged)
        assert all(reader.hear("wsp-test-0000008") for reader in readers)
        readers[0].publish("wsp-test-0000009")
        assert readers[0].close_code() == 1008
        source = address()
        for _ in range(broker.target.promises.connections_per_address):
            stack.enter_context(visit(broker, own, source=source))
        assert refusal(broker, own, source=source) in refused["too_many_connections"].status


@pytest.mark.parametrize("path", SERVICES, ids=name_of)
def test_a_load_on_a_service_not_ours_reaches_every_client(path, tmp_path):
    options = ["--clients", "5", "--rate", "50", "--duration", "1", "--warmup", "0.5"]
    command = [*WSPROOF, "load", "chapter", "--target", str(path), *options, "--repeats", "1"]
    done = subprocess.run(
        [*command, "--runs", str(tmp_path), "--json"], capture_output=True, text=True, check=False
    )
    run = json.loads(done.stdout)
    metrics = run["metrics"]
    assert (metrics["clients_held"], metrics["target_deaths"]) == (5, 0)
    assert metrics["deliveries_received"] == 5 * metrics["events_sent"] > 0
    assert (metrics["deliveries_duplicated"], metrics["deliveries_reordered"]) == (0, 0)
