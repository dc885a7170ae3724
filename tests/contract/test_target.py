import re
from datetime import date
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import monitor
from monitor.contract.target import Target, fill, load_target
from monitor.contract.verdicts import UsageError

REFERENCE = Path(monitor.__file__).parent / "target.toml"
MINIMAL = """\
name = "a service"
url = "ws://127.0.0.1:4001/"
[publish]
message = '{"event":{event}}'
"""
WITH_TOKENS = """\
[authentication]
methods = ["query", "header", "message"]
message = '{"type":"auth","token":"{token}"}'
[tokens.subscribe]
environment = "A_TOKEN"
[tokens.publish]
environment = "A_TOKEN"
"""
A_DAY = "a day as TOML writes it, without quotes, such as 2027-01-31"
WAIVER = """\
[[waivers]]
check = "AU10"
owner = "Ada"
reason = "links in mails"
expires = {}
"""
STARTED = """\
[start]
command = ["serve"]
environment = {{ MODE = "test" }}
[promises]
idle_timeout_s = 300
window_s = 60
[short]
arguments = ["--idle", "3"]
environment = {{ HASTE = "1" }}
promises = {{ {} }}
"""


@pytest.fixture
def load(tmp_path):
    def load(text):
        file = tmp_path / "target.toml"
        file.write_text(text)
        return load_target(file)

    return load


def test_the_reference_profile_loads_and_names_its_claims():
    target = load_target(REFERENCE)
    assert target.claims_path == REFERENCE.with_name("claims.toml")
    assert target.promises.connections_per_address == 10
    assert target.path == REFERENCE


def test_a_service_needs_no_more_than_a_name_a_url_and_a_way_to_publish(load):
    target = load(MINIMAL)
    assert (target.start, target.claims_path) == (None, None)
    assert target.promises.requests_per_window is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("name", "nmae"), "unknown key `nmae`; did you mean `name`?"),
        (("[publish]", "[publlish]"), "unknown key `publlish`; did you mean `publish`?"),
        (('"a service"', "1"), "key `name`: Expected `str`, got `int`"),
        (
            ("ws://127.0.0.1:4001/", "http://x/"),
            "key `url`: expected ws://HOST[:PORT] or wss://HOST",
        ),
        (
            ("[publish]", '[records.idle]\nlog = "closed: idle"\n[publish]'),
            "key `records.idle.log`: expected a template with {client} or {subject} in it",
        ),
        (
            ("[publish]", '[records.idle]\ncounter = "evictions"\n[publish]'),
            "key `records.idle.counter`: needs `pages.metrics`",
        ),
        (
            ("[publish]", "[records.idle]\n[publish]"),
            "key `records.idle`: expected `log`, `counter`",
        ),
        (("ws://127.0.0.1:4001/", "ws://x:99999/"), "key `url`: expected ws://HOST[:PORT]"),
        (("ws://127.0.0.1:4001/", "ws://x:0/"), "key `url`: expected ws://HOST[:PORT]"),
        (("ws://127.0.0.1:4001/", "ws://x/\\u0000"), "key `url`: expected ws://HOST[:PORT]"),
        (("ws://127.0.0.1:4001/", "ws://[::1"), "key `url`: expected ws://HOST[:PORT]"),
        (("ws://127.0.0.1:4001/", "ws:///x"), "key `url`: expected ws://HOST[:PORT] or wss://HOST"),
        (("{event}", "{evnt}"), "key `publish.message`: expected a template with {event} in it"),
        (("name =", 'path = "x"\nname ='), "unknown key `path`; remove it"),
        (("name =", "format = 2\nname ="), "key `format`: Invalid enum value 2; expected 1"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_key(load, change, says):
    with pytest.raises(UsageError) as caught:
        load(MINIMAL.replace(*change, 1))
    assert str(caught.value).startswith("target profile /")
    assert f"target.toml: {says}" in str(caught.value)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('[authentication]\nmethods = ["cookie"]', "key `authentication.methods[0]`: Invalid enum"),
        ('[authentication]\nmethods = ["message"]', "key `authentication.message`: missing"),
        ('[authentication]\nmethods = ["query"]', "key `tokens`: missing"),
        (
            '[authentication]\nmethods = ["query"]\n[tokens.subscribe]\nenvironment = "A"',
            "key `tokens.publish`: missing",
        ),
        (
            '[authentication]\nmethods = ["message"]\nmessage = "secret"',
            "key `authentication.message`: expected a template with {token} in it",
        ),
        (
            '[authentication]\nmethods = ["header"]\nheader_value = "Bearer token"',
            "key `authentication.header_value`: expected a template with {token} in it",
        ),
        ("[tokens.subscribe]", "key `tokens.subscribe`: expected exactly one of"),
        ("[tokens.publish]\ncommand = []", "key `tokens.publish.command`: Expected `array` of"),
        ("[start]\ncommand = []", "key `start.command`: Expected `array` of length >= 1"),
        ('[start]\ncommand = ["a\\u0000"]', "key `start.command`: has a NUL in it"),
        (
            '[start]\ncommand = ["a"]\nenvironment = { A = "\\u0000" }',
            "key `start.environment`: has a NUL in it",
        ),
        (
            '[start]\ncommand = ["a"]\nenvironment = { "A=B" = "x" }',
            "key `start.environment`: expected names of variables",
        ),
        (
            '[start]\ncommand = ["a"]\n[variants.tls]\narguments = ["\\u0000"]',
            "key `variants.tls.arguments`: has a NUL in it",
        ),
        (
            '[tokens.publish]\ncommand = ["a", "\\u0000"]',
            "key `tokens.publish.command`: has a NUL in it",
        ),
        (
            """[signing]\nfile = "a\\u0000"\nclaims = '{"exp":1,"sub":"x"}'""",
            "key `signing.file`: has a NUL in it",
        ),
        (
            """[signing]\nfile = "a"\nclaims = '["exp","sub"]'""",
            "key `signing.claims`: expected a JSON object once its parts are filled in",
        ),
        (
            """[signing]\nfile = "a"\nclaims = '{"exp":{expires_at},"sub":{subject}}'""",
            "key `signing.claims`: expected a JSON object once its parts are filled in",
        ),
        ("[answers]\nidle = {}", "key `answers.idle`: expected `status`, `close` or `error`"),
        ("[answers]\nidle = { close = [] }", "key `answers.idle`: expected `status`, `close`"),
        (
            "[promises]\nconnections_per_address = 1000001",
            "key `promises.connections_per_address`: Expected `int` <= 1000000",
        ),
        (
            "[promises]\nconnections_per_address = 99999999999999999999",
            "key `promises.connections_per_address`: ",
        ),
        (
            '[tokens.publish]\nenvironment = "A"\ncommand = ["b"]',
            "key `tokens.publish`: expected exactly one of",
        ),
        ('[tokens.admn]\nenvironment = "A"', "key `tokens`: Invalid enum value 'admn'"),
        ("[promises]\nwindow_s = 0", "key `promises.window_s`: Expected `float` > 0.0"),
        ("[promises]\nrequests_per_window = 0", "key `promises.requests_per_window`: Expected"),
        (
            '[start]\ncommand = ["x"]\nready = "soon"',
            "key `start.ready`: Invalid enum value 'soon'",
        ),
        (
            "[promises]\nactivity = ['mesage']",
            "key `promises.activity[0]`: Invalid enum value 'mesage'; did you mean `message`?",
        ),
        ("[promises]\nidle_timeout_s = '5'", "key `promises.idle_timeout_s`: Expected `float"),
        ("[promises]\nping_interval_s = 5", "keys `promises.ping_interval_s`, `promises.ping_an"),
        (
            "[promises]\nconnections_per_address = 9\nmax_connections = 5",
            "key `promises.connections_per_address`: contradictory: 9 is never reached",
        ),
        (
            "[promises]\nidle_timeout_s = 1.0",
            "key `promises.tolerance_s`: contradictory: 1 s is not less than `promises.idle",
        ),
        (
            "[answers]\nunauthorised = {}",
            "key `answers`: Invalid enum value 'unauthorised'; did you mean `unauthenticated`?",
        ),
        (
            "[answers.idle]\nclose = [99]",
            "key `answers.idle.close[0]`: Expected `int` >= 1000; it says 99",
        ),
        ('[tokens.short_lived]\nenvironment = "A"', "key `tokens.short_lived.lifetime_s`: missing"),
        ("[signing]\nclaims = '{}'", "key `signing`: expected exactly one of `environment`"),
        (
            "[signing]\nclaims = '{}'\nfile = 'k'",
            "key `signing.claims`: expected a JSON object with `exp` in it",
        ),
        ('[commands]\nrevoke = ["x"]', "key `commands.revoke`: expected a template with {token}"),
        ('[commands]\ndisable = ["x"]', "key `commands.disable`: expected a template with {subj"),
        ("[subscribe]\nfiltered = 'x'", "key `subscribe.filter_field`: missing, though"),
        ("[resume]\nmessage = 'x'\nrecovered = 'y'", "key `resume.message`: expected a template"),
        (
            "[resume]\nmessage = '{epoch} {offset}'\nrecovered = 'y'",
            "key `resume.epoch_field`: missing",
        ),
        ("[events]\nexample = '[]'", "key `events.example`: expected a JSON object, got '[]'"),
        ("[pages]\nmetrics = 'metrics'", "key `pages.metrics`: expected a path such as /metrics"),
        ("[tls]\nrequired = true", "key `tls.required`: contradicts `url`, which is ws://"),
        (
            "[origins]\nallowed = ['https://a']\nforeign = ['https://a']",
            "key `origins.foreign`: contradictory: 'https://a' is allowed, too",
        ),
        ("[declined]\nRL5 = ' '", "key `declined.RL5`: expected the reason, got an empty text"),
        (
            "[[waivers]]\ncheck = 'AU10'",
            "key `waivers[0].owner`: missing; required here: check, expires, owner, reason",
        ),
        ("[[waivers]]\ncheck = 5", "key `waivers[0].check`: Expected `str`, got `int`; it says 5"),
        (
            "[waivers]\ncheck = 'AU10'",
            "key `waivers`: Expected `array`, got `table`; write [[waivers]]",
        ),
        (
            "declined = ['AU9']",
            "unknown key `publish.declined`; `declined` belongs above the first [table]",
        ),
        ("[declined]\nAU9 = true", "key `declined.AU9`: Expected `str`, got `bool`; it says true"),
        (
            WAIVER.format("2027-02-31"),
            (
                "not valid TOML: Invalid date or datetime (at line 9, column 11), key `expires`;"
                " a day is written 2027-01-31"
            ),
        ),
        (
            WAIVER.format("soon"),
            (
                "not valid TOML: Invalid value (at line 9, column 11), key `expires`; a text"
                " stands in quotes"
            ),
        ),
        (
            WAIVER.format("2027-01-31") + WAIVER.format("2028-01-31"),
            "key `waivers`: contradictory: AU10 is waived twice; keep one",
        ),
        (
            "[promises]\nidle_timeout_s = inf",
            (
                "key `promises.idle_timeout_s`: expected a finite number of seconds, got inf;"
                " leave it out where nothing is promised"
            ),
        ),
        (
            WAIVER.format("'soon'"),
            f"key `waivers[0].expires`: Expected {A_DAY}; it says 'soon'",
        ),
        (
            WAIVER.format("2027-01-31").replace("Ada", " "),
            "key `waivers[0].owner`: expected words, got an empty text",
        ),
        (
            WAIVER.format("20270131"),
            f"key `waivers[0].expires`: Expected {A_DAY}; it says 20270131",
        ),
        (
            WAIVER.format("2027-01-31") + "[declined]\nAU10 = 'no'",
            "key `waivers`: contradictory: AU10 is declined, too",
        ),
        ("[short]", "key `short`: needs a `[start]` table"),
        ("[variants.tsl]", "key `variants`: Invalid enum value 'tsl'; did you mean `tls`?"),
        ("[start]\nready_timeout = 1", "unknown key `start.ready_timeout`; did you mean `ready_t"),
    ],
)
def test_a_table_that_cannot_work_is_refused_when_it_is_loaded(load, table, says):
    with pytest.raises(UsageError) as caught:
        load(MINIMAL + table)
    assert f"target.toml: {says}" in str(caught.value)


def test_shortened_durations_replace_the_promised_ones_and_leave_the_others(load):
    short = load(MINIMAL + STARTED.format("idle_timeout_s = 3")).shortened()
    assert (short.promises.idle_timeout_s, short.promises.window_s) == (3.0, 60.0)
    assert short.start.command == ("serve", "--idle", "3")
    assert short.start.environment == {"MODE": "test", "HASTE": "1"}


def test_a_target_without_a_short_form_keeps_its_promises(load):
    target = load(MINIMAL)
    assert target.shortened() is target


@pytest.mark.parametrize(
    ("promises", "says"),
    [
        ("idle_timeout = 3", "table `short.promises`: unknown key `idle_timeout`; did you mean `i"),
        ("idle_timeout_s = '3'", "table `short.promises`: key `idle_timeout_s`: Expected `float"),
        ("idle_timeout_s = 0.5", "table `short`: key `promises.tolerance_s`: contradictory"),
    ],
)
def test_the_promises_of_a_short_form_are_checked_when_the_profile_is_loaded(load, promises, says):
    with pytest.raises(UsageError) as caught:
        load(MINIMAL + STARTED.format(promises))
    assert f"target.toml: {says}" in str(caught.value)


def test_a_variant_is_there_only_if_the_profile_has_it():
    target = load_target(REFERENCE)
    compressing = target.variant("compression")
    assert compressing.start.command == (*target.start.command, "--compression")
    assert load_target(REFERENCE).variant("proxy").promises == target.promises
    assert target.shortened().variant("tls").promises.idle_timeout_s == 3.0


def test_a_waiver_holds_to_the_end_of_its_last_day(load):
    (waiver,) = load(MINIMAL + WAIVER.format("2027-01-31")).waivers
    assert not waiver.expired(date(2027, 1, 31))
    assert waiver.expired(date(2027, 2, 1))


def test_the_page_on_profiles_names_every_key_and_every_word():
    page = (Path(monitor.__file__).parents[1] / "docs" / "targets.md").read_text()
    quoted = " ".join(re.findall(r"`+([^`]+)`+", page))
    named = set(re.findall(r"[\w-]+", quoted)) | set(re.findall(r"\b1\.\d", quoted))
    assert [word for word in _words(Target) if word not in named] == []


def _words(struct):
    """Yield the keys of a struct and of those inside it; and the words a value may be."""
    hints = get_type_hints(struct)
    for field in msgspec.structs.fields(struct):
        if field.name != "path":
            yield from (field.name, *_inside(hints[field.name]))


def _inside(annotation):
    if get_origin(annotation) is Literal:
        yield from filter(lambda word: isinstance(word, str), get_args(annotation))
    elif isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        yield from _words(annotation)
    else:
        for part in get_args(annotation):
            yield from _inside(part)


def test_each_way_to_authenticate_spells_the_token_its_own_way(load):
    target = load(MINIMAL + WITH_TOKENS)
    query = target.credentials("a+b")
    assert query == target.credentials("a+b", "query")
    assert (query.url, query.headers) == ("ws://127.0.0.1:4001/?token=a%2Bb", {})
    assert target.credentials("a+b", "header").headers == {"Authorization": "Bearer a+b"}
    assert target.credentials("a+b", "message").message == '{"type":"auth","token":"a+b"}'


def test_a_token_joins_a_query_that_is_there_already(load):
    target = load(MINIMAL + WITH_TOKENS).at("ws://127.0.0.1:1/?stream=off")
    assert target.credentials("t").url == "ws://127.0.0.1:1/?stream=off&token=t"


def test_a_way_the_profile_does_not_list_is_refused(load):
    target = load(MINIMAL + WITH_TOKENS.replace('"query", ', ""))
    with pytest.raises(UsageError, match=r"method 'query' is not among .* \(header, message\)"):
        target.credentials("t", "query")


def test_without_a_token_a_client_presents_nothing(load):
    presented = load(MINIMAL + WITH_TOKENS).credentials(None)
    assert (presented.url, presented.headers, presented.message) == (
        "ws://127.0.0.1:4001/",
        {},
        None,
    )


@given(st.text(max_size=30))
def test_filling_leaves_all_other_braces_as_they_are(text):
    template = '{"a":{"b":{token}}}'
    assert fill(template, {"token": text}) == '{"a":{"b":' + text + "}}"
    assert fill(template, {"other": text}) == template
