"""What the checks of handshake, authentication and tokens show a service, without a socket."""

import json
import secrets
from urllib.parse import urlsplit

import pytest

from monitor.contract.verdicts import Verdict
from securitytests.catalogue.authentication.credentials import spoilt
from securitytests.catalogue.authentication.presenting import on_the_wire, spelled_twice
from securitytests.catalogue.frames.payloads import key_twice
from securitytests.catalogue.handshake.lookalikes import lookalikes
from securitytests.catalogue.tokens.keys import common_prefix, long_enough, random_enough
from securitytests.catalogue.tokens.size import SHAPES, shaped

ORIGINS = ["http://127.0.0.1:4001", "http://localhost:80", "https://app.example"]


@pytest.mark.parametrize("origin", ORIGINS)
def test_no_lookalike_is_the_origin_itself_nor_another_lookalike(origin):
    found = lookalikes(origin)
    assert origin not in found.values()
    assert len(found) >= 15
    hosts = {urlsplit(other).hostname for other in found.values()}
    assert f"attacker.{urlsplit(origin).hostname}" in hosts


def test_a_letter_stands_for_the_last_dot_only_where_there_is_one():
    assert lookalikes(ORIGINS[0])["a letter for the last dot"] == "http://127.0.0x1:4001"
    assert "a letter for the last dot" not in lookalikes(ORIGINS[1])


def test_no_spoilt_token_is_the_good_one():
    good = secrets.token_urlsafe(40)
    assert good not in spoilt(good).values()


def test_every_way_carries_a_token_of_any_characters():
    token = 'a\0b"\N{LATIN SMALL LETTER E WITH ACUTE}'
    assert on_the_wire(token, "query") == token
    assert on_the_wire(token, "header").encode("latin-1") == token.encode()
    assert json.loads(f'"{on_the_wire(token, "message")}"') == token


@pytest.mark.parametrize(
    ("template", "doubled"),
    [
        ('{"type":"auth","token":"{token}"}', '{"type":"auth","token":"a","token":"b"}'),
        ('{"t" : "{token}"}', '{"t" : "a","t" : "b"}'),
        ("AUTH {token}", None),
    ],
)
def test_a_token_is_spelled_twice_where_the_message_is_json(template, doubled):
    assert spelled_twice(template, "a", "b") == doubled


@pytest.mark.parametrize(
    ("secret", "verdict"),
    [
        (secrets.token_bytes(32), "PASS"),
        (secrets.token_hex(64).encode(), "PASS"),
        (secrets.token_bytes(16), "FAIL"),
        (secrets.token_bytes(4) * 8, "FAIL"),
        (bytes(64), "FAIL"),
    ],
    ids=["random", "hexadecimal", "short", "repeated", "zeros"],
)
def test_a_key_has_256_bits_that_do_not_compress(secret, verdict):
    assert random_enough(secret, 256).verdict is Verdict(verdict)


@pytest.mark.parametrize(
    ("identifier", "verdict"),
    [
        (secrets.token_hex(16), "PASS"),
        (secrets.token_urlsafe(16), "PASS"),
        ("8f14e45f-ceea-467a-9575-25c1e0d7c5b8", "PASS"),
        (secrets.token_hex(15), "FAIL"),
        ("17", "FAIL"),
        ("", "FAIL"),
    ],
    ids=["32 hex digits", "22 of base64", "UUID", "30 hex digits", "number", "empty"],
)
def test_an_id_has_128_bits(identifier, verdict):
    assert long_enough(identifier).verdict is Verdict(verdict)


def test_ids_that_count_up_have_their_beginning_in_common():
    assert common_prefix(["token-0001", "token-0002"]) == 9
    assert common_prefix(["abc", "abc"]) == 3


@pytest.mark.parametrize("shape", SHAPES)
def test_a_large_token_has_about_its_size(shape):
    assert 0.8 * 7_500 <= len(shaped(shape, 7_500)) <= 1.1 * 7_500


@pytest.mark.parametrize("text", ['{"type":"ping"}', '{"type": "a", "n": {"x": [1]}} '])
@pytest.mark.parametrize("how", [{}, {"escaped": True}, {"key": "type", "value": '"b"'}])
def test_a_key_stands_twice_however_it_is_spelled(text, how):
    pairs = json.loads(key_twice(text, **how), object_pairs_hook=list)
    assert [key for key, _ in pairs].count("type") == 2
    assert dict(pairs).keys() == json.loads(text).keys()


def test_an_escaped_key_is_not_the_same_text():
    assert key_twice('{"type":1}', escaped=True) == r'{"type":1,"\u0074ype":1}'


@pytest.mark.parametrize("text", ["PUBLISH {}", "[1]", "{}"])
def test_what_is_no_object_with_a_key_has_none_twice(text):
    assert key_twice(text) == ""
