"""The wire: what is read from a client's message, and what is refused."""

import pytest

from monitor import wire


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"auth","token":"one","token":"two"}',
        '{"type":"auth","token":"one","token":"one"}',
        '{"type":"ping","token":"one","ref":1,"ref":2}',
    ],
)
def test_a_message_with_a_token_has_each_key_once(text):
    with pytest.raises(wire.MalformedMessageError, match="a key stands twice"):
        wire.decode(text)


def test_a_message_with_one_token_is_read():
    message = wire.decode('{"type":"auth","token":"one","ref":7}')
    assert (message.token, message.ref) == ("one", 7)
