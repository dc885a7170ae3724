"""HTTP of the probe: requests byte by byte, responses within bounds."""

import pytest

from securitytests.probe import http


def test_a_request_is_written_as_ordered_and_bent_at_will():
    good = http.websocket_request("h:1", "/?a=b", "KEY", [("X", "y")])
    assert good.encode().startswith(b"GET /?a=b HTTP/1.1\r\nHost: h:1\r\n")
    assert good.encode().endswith(b"X: y\r\n\r\n")
    assert b"Upgrade: websocket" not in good.without("upgrade").encode()
    twice = good.with_headers(("Host", "other")).encode()
    assert twice.count(b"Host: ") == 2
    assert good.with_header("HOST", "other").encode().lower().count(b"host: ") == 1


def test_a_key_has_the_answer_of_the_rfc():
    # The example of RFC 6455 section 1.3.
    assert http.accept_for("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_a_response_head_is_parsed_whatever_the_case_of_its_names():
    response = http.parse_head(b"HTTP/1.1 429 Too Many\r\nRETRY-AFTER: 3\r\nVia: a\r\nvia: b")
    assert (response.status, response.reason) == (429, "Too Many")
    assert response.header("Retry-After") == "3"
    assert response.all("Via") == ("a", "b")
    assert response.header("Age") is None


@pytest.mark.parametrize("head", [b"", b"SSH-2.0-x", b"HTTP/1.1 abc", b"HTTP/1.1 200 OK\r\nx"])
def test_what_is_no_response_is_refused(head):
    with pytest.raises(http.MalformedResponseError):
        http.parse_head(head)


@pytest.mark.parametrize(
    ("chunked", "content"),
    [
        (b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"3\r\nabc\r\n5\r\nd", b"abcd"),
        (b"A\r\n0123456789\r\n0a", b"0123456789"),
    ],
)
def test_a_chunked_body_is_put_together(chunked, content):
    assert http.dechunk(chunked) == content


@pytest.mark.parametrize(
    "size", [b"zz", b"-6", b"+5", b"0x5", b"1_0", b" 5", b"5 ", b"", b"f" * 5_000]
)
def test_a_chunk_of_a_size_that_is_none_ends_the_answer(size):
    with pytest.raises(http.MalformedResponseError):
        http.dechunk(b"3\r\nabc\r\n" + size + b"\r\n" + b"hello\r\n0\r\n\r\n")


def answering(length: str) -> http.Response:
    return http.Response(200, "OK", (("Content-Length", length),))


@pytest.mark.parametrize("length", ["9" * 5_000, "-1", "+5", "1_0", "\u0665", "5, 5", "", "x"])
def test_a_length_that_is_none_is_refused(length):
    with pytest.raises(http.MalformedResponseError):
        http.body_length(answering(length))


def test_the_length_of_a_body_is_what_its_head_states():
    assert http.body_length(answering("12")) == 12
    assert http.body_length(http.Response(200, "OK", ())) is None
    assert http.body_length(http.Response(204, "No Content", (("Content-Length", "x"),))) == 0
