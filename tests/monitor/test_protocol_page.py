"""Every example of docs/protocol.md, sent to a running monitor and compared with its answer.

What a slow reader gets takes one to see: that example is compared in `test_server`.
"""

import json
import os
import re
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from .peers import Peer

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"
EXAMPLE = re.compile(r"^```json (\w+) (sends|gets)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

#: Fields whose values differ from run to run; that they are there is compared all the same.
VARIABLE = {"epoch", "expires_at", "retry_after"}


def comparable(message):
    return {k: "…" if k in VARIABLE else v for k, v in message.items()}


@pytest.mark.slow
def test_every_example_of_the_protocol_page_is_what_the_monitor_says(start_monitor):
    monitor = start_monitor()
    tokens = {"subscriber": "subscribe", "publisher": "publish"}
    epoch = ""
    examples = EXAMPLE.findall(PAGE.read_text())
    assert len(examples) > 20
    with ExitStack() as stack:
        publisher = stack.enter_context(Peer(monitor.url))
        publisher.hear()
        publisher.say("auth", token=monitor.token("publish", subject="example"))
        publisher.hear()
        peers = {"subscriber": stack.enter_context(Peer(monitor.url)), "publisher": publisher}
        for who, verb, text in examples:
            if verb == "sends":
                token = monitor.token(tokens[who], subject="example")
                filled = text.replace("<subscribe>", token).replace("<epoch>", epoch)
                peers[who].ws.send(filled)
            else:
                if json.loads(text)["type"] == "server_shutdown":
                    os.kill(monitor.pid, signal.SIGTERM)
                heard = peers[who].hear()
                epoch = heard.get("epoch", epoch)
                assert comparable(heard) == comparable(json.loads(text)), f"{who} gets {text}"
        assert peers["subscriber"].end() == (1012, "restarting")
