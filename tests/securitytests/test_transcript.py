"""Transcripts: bounded, and without secrets."""

import re

import pytest

from securitytests.probe import jws
from securitytests.probe.transcript import MAX_LINES, Transcript, render, trying


def test_tokens_and_protected_texts_never_stand_in_it():
    transcript = Transcript("AU1")
    token = jws.sign({"alg": "HS256", "typ": "JWT"}, {"sub": "x"}, b"k")
    transcript.protect("opaque-secret-token")
    transcript.note(1, "sent", f"GET /?token={token} HTTP/1.1")
    transcript.note(1, "sent", f"GET /?token={token.replace('.', '%2E')} HTTP/1.1")
    transcript.note(1, "sent", "auth opaque-secret-token")
    for line in transcript.lines():
        assert "[token]" in line.summary
        assert token.partition(".")[2] not in line.summary


def test_it_keeps_so_many_lines_and_says_how_many_it_left_out():
    transcript = Transcript("AU1")
    for number in range(MAX_LINES + 7):
        transcript.note(1, "received", f"line {number}\r\n\x1b[2J")
    lines = transcript.lines()
    assert len(lines) == MAX_LINES + 1
    assert lines[-1].summary == "7 more lines are left out"
    assert lines[0].summary == "line 0\\r\\n\\x1b[2J"


def test_a_line_names_the_variant_it_belongs_to():
    transcript = Transcript("AU1", clock=iter([0.0, 1.0, 2.0]).__next__)
    with trying("query"):
        transcript.note(2, "sent", "hello", 5)
    transcript.note(0, "note", "end")
    assert [line.variant for line in transcript.lines()] == ["query", ""]
    assert render(transcript.lines()) == "+1.000 #2 > hello\n+2.000 #0 · end"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token[1:],
        lambda token: "ｅ" + token[1:],
        lambda token: token[:40],
        lambda token: token.rpartition(".")[0],
        lambda token: token.partition(".")[2],
        lambda token: token.replace(".", "%2E"),
    ],
)
def test_a_spoilt_token_is_kept_no_more_than_a_good_one(spoil):
    token = jws.sign(
        {"alg": "HS256", "typ": "JWT"}, {"sub": "somebody", "jti": "0" * 16}, b"k" * 32
    )
    kept = Transcript("TK1").redact(f"Authorization: Bearer {spoil(token)}")
    assert not any(part in kept for part in re.findall(r"[\w-]{12}", spoil(token).lstrip("ｅ")))
    assert kept.startswith("Authorization: Bearer ")


def test_a_long_text_is_looked_through_in_no_time():
    """Linear: what is quadratic takes minutes for such a text, and stops every other check."""
    text = "m" * 2_000_000
    assert Transcript("TK10").redact(text) == text
