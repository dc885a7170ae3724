"""Starts nginx with its Nchan module: a broker that passes on whatever its writers send.

Tokens are static secrets, one for each right, in the state folder. nginx inherits the listening
socket, so the port is ours before it is announced.

usage: python -m tests.services.nchan --state FOLDER
"""

import argparse
import json
import os
import secrets
import shutil
import socket
import sys
from pathlib import Path

MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
RIGHTS = ("subscribe", "publish", "other_subject")

#: What a browser may do with its page; scripts only from here, and nothing in line.
POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; object-src 'none';"
    " base-uri 'none'; frame-ancestors 'none'"
)
PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Live</title>
<script src="/page.js" defer></script>
<ol></ol>
"""
SCRIPT = """\
const token = new URLSearchParams(location.hash.slice(1)).get("key") ?? "";
const socket = new WebSocket(`ws://${location.host}/live?key=${encodeURIComponent(token)}`);
socket.onmessage = ({ data }) => {
  const { type, text } = JSON.parse(data);
  const row = document.createElement("li");
  row.title = type;
  row.textContent = text;
  document.querySelector("ol").append(row);
};
"""


def main() -> None:
    """Become nginx."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--handshake-s", type=int, default=5)
    told = parser.parse_args()
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None or not MODULE.exists():
        sys.exit("nginx or Nchan: not there; install: apt-get install -y nginx libnginx-mod-nchan")
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    port = listening.getsockname()[1]
    state = told.state.resolve()
    configuration = state / "nginx.conf"
    (state / "page.html").write_text(PAGE)
    (state / "page.js").write_text(SCRIPT)
    configuration.write_text(_configuration(state, port, told))
    os.set_inheritable(listening.fileno(), True)
    os.environ["NGINX"] = f"{listening.fileno()};"
    print(json.dumps({"url": f"ws://127.0.0.1:{port}/live"}), flush=True)
    command = [nginx, "-p", str(state), "-e", "stderr", "-c", str(configuration)]
    os.execv(nginx, command)  # noqa: S606 - nginx is to be this very process


def _configuration(state: Path, port: int, told: argparse.Namespace) -> str:
    tokens = {}
    for right in RIGHTS:
        tokens[right] = secrets.token_urlsafe(32)
        (state / right).write_text(tokens[right] + "\n")
    shown = [f'"~^({token} | Bearer {token})$" {right};' for right, token in tokens.items()]
    folders = "".join(
        f"{name}_temp_path {state}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""\
load_module {MODULE};
{"user root;" if os.geteuid() == 0 else ""}
daemon off;
worker_processes 1;
pid {state}/nginx.pid;
events {{ worker_connections 2000; }}
http {{
  {folders}
  access_log off;
  server_tokens off;
  client_header_timeout {told.handshake_s}s;
  limit_conn_zone $binary_remote_addr zone=addresses:1m;
  limit_conn_status 429;
  map_hash_bucket_size 256;
  map "$arg_key $http_authorization" $right {{ {" ".join(shown)} default ""; }}
  map $http_origin $foreign {{
    "" ""; "~^http://(127\\.0\\.0\\.1|localhost):{port}$" ""; default 1;
  }}
  server {{
    listen 127.0.0.1:{port};
    limit_conn addresses 8;
    add_header X-Content-Type-Options nosniff always;
    add_header Cache-Control no-store always;
    add_header Referrer-Policy no-referrer always;
    add_header Content-Security-Policy "{POLICY}" always;
    if ($request_method !~ ^(GET|HEAD)$) {{ return 405; }}
    location = /healthz {{ return 200 "ok\\n"; }}
    location = / {{ default_type text/html; root {state}; try_files /page.html =404; }}
    location = /page.js {{ default_type text/javascript; alias {state}/page.js; }}
    location = /live {{
      if ($foreign) {{ return 403; }}
      if ($server_protocol != HTTP/1.1) {{ return 505; }}
      if ($http_sec_websocket_key !~ "^[A-Za-z0-9+/]{{21}}[AQgw]==$") {{ return 400; }}
      if ($http_upgrade !~* websocket) {{ return 426; }}
      if ($args ~ "(^|&)key=.*&key=") {{ return 400; }}
      if ($http_sec_websocket_protocol) {{ return 400; }}  # Nchan answers with an empty one
      if ($right = publish) {{ rewrite ^ /writers last; }}
      if ($right) {{ rewrite ^ /readers last; }}
      return 401;
    }}
    location = /readers {{
      internal;
      nchan_subscriber websocket;
      nchan_channel_id events;
      nchan_subscriber_first_message newest;
      nchan_websocket_ping_interval 20;
    }}
    location = /writers {{
      internal;
      nchan_publisher websocket;
      nchan_channel_id events;
      nchan_message_buffer_length 1000;
      nchan_message_timeout 1m;
    }}
    location / {{ return 404; }}
  }}
}}
"""


if __name__ == "__main__":
    main()
