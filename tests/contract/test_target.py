from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import monitor
from monitor.contract.target import fill, load_target
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
        (("ws://127.0.0.1:4001/", "http://x/"), "key `url`: expected ws://HOST or wss://HOST"),
        (("ws://127.0.0.1:4001/", "ws:///x"), "key `url`: expected ws://HOST or wss://HOST"),
        (("{event}", "{evnt}"), "key `publish.message`: expected a template with {event} in it"),
        (("name =", 'path = "x"\nname ='), "unknown key `path`; remove it"),
        (("name =", "format = 2\nname ="), "key `format`: Invalid enum value 2"),
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
        ("[tokens.subscribe]", "key `tokens.subscribe`: expected exactly one of"),
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
        ("[start]\nready_timeout = 1", "unknown key `start.ready_timeout`; did you mean `ready_t"),
    ],
)
def test_a_table_that_cannot_work_is_refused_when_it_is_loaded(load, table, says):
    with pytest.raises(UsageError) as caught:
        load(MINIMAL + table)
    assert f"target.toml: {says}" in str(caught.value)


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
