"use strict";
// A broadcaster on Node's `ws`: slow but right, header names in capitals, a slot for every socket,
// and a history from which who was away may catch up.

const http = require("node:http");
const crypto = require("node:crypto");
const { parseArgs } = require("node:util");
const { WebSocketServer, WebSocket } = require("ws");
const { clean, read } = require("./events.cjs");
const { Slots, Window, now } = require("./limits.cjs");
const { Tokens } = require("./tokens.cjs");

const SWEEP_MS = 50;
const THINKING_MS = 40;
const BUFFERED_BYTES = 1 << 20;
const HISTORY = 1000;
const MAX_HEADERS = 100;
const HEADERS = {
  "CONTENT-TYPE": "application/problem+json",
  "CONTENT-SECURITY-POLICY": "default-src 'none'; frame-ancestors 'none'",
  "X-CONTENT-TYPE-OPTIONS": "nosniff",
  "REFERRER-POLICY": "no-referrer",
  "CACHE-CONTROL": "no-store",
  CONNECTION: "close",
};

const defaults = {
  requests: "60", "window-s": "30", connections: "8", "events-per-s": "2000", failures: "8",
  "handshake-s": "5", "authentication-s": "5", "idle-s": "60", "ping-s": "15", "pong-s": "15",
  "close-s": "4", "message-bytes": "65536", compression: "0", port: "0", state: "",
};
const spelled = Object.fromEntries(Object.entries(defaults).map(
  ([name, value]) => [name, { type: "string", default: value }],
));
const { values, positionals } = parseArgs({ options: spelled, allowPositionals: true });
const told = (name) => Number(values[name]);

const tokens = new Tokens(values.state);
const [action, subject, ...more] = positionals;
if (action === "issue") console.log(tokens.issue(subject, more[0], Number(more[1])));
else if (action === "revoke") tokens.add(0, tokens.verify(subject).id);
else if (action === "disable") tokens.add(1, subject);
else serve();

function serve() {
  const requests = new Window(told("requests"), told("window-s"));
  const failures = new Window(told("failures"), 60);
  const quota = new Window(told("events-per-s"), 1);
  const slots = new Slots(told("connections"));
  const clients = new Set();
  const counts = new Map();
  const epoch = crypto.randomUUID();
  const history = [];
  let offset = 0;
  let origins = [];

  const server = http.createServer({
    headersTimeout: told("handshake-s") * 1000,
    requestTimeout: told("handshake-s") * 1000,
    connectionsCheckingInterval: 100,
    maxHeaderSize: 16_384,
  });
  const sockets = new WebSocketServer({
    noServer: true, maxPayload: told("message-bytes"), perMessageDeflate: told("compression") === 1,
    autoPong: false, clientTracking: false,
  });

  // HTTP

  /** Count a refusal and return it: a status, why, and when to come back. */
  function refusal(status, why, waitS = 0) {
    counts.set(why, (counts.get(why) ?? 0) + 1);
    console.error(`refused: ${why}`);
    const retry = waitS > 0 ? { "RETRY-AFTER": String(Math.floor(waitS) + 1) } : {};
    return { status, body: `{"status": ${status}, "title": "${why}"}\n`, headers: { ...HEADERS, ...retry } };
  }

  function wait() {
    return new Promise((resolve) => setTimeout(resolve, THINKING_MS));
  }

  /** Return every token a request shows; one of another scheme than Bearer is an empty one. */
  /** Return the URL of a request target; what is none leads to a page that is not there. */
function located(target) {
  return new URL(URL.canParse(target, "http://here") ? target : "/malformed", "http://here");
}

function credentials(request, url) {
    const found = url.searchParams.getAll("key");
    request.rawHeaders.forEach((name, index) => {
      if (index % 2 || name.toLowerCase() !== "authorization") return;
      const [scheme, token] = request.rawHeaders[index + 1].trim().split(/ +(.*)/);
      found.push(scheme.toLowerCase() === "bearer" ? token ?? "" : "");
    });
    return found;
  }

  /** Return the grant of a request's one token, or the refusal. */
  async function granted(address, shown) {
    await wait();
    const grant = shown.length === 1 ? tokens.verify(shown[0]) : null;
    if (grant) return { grant };
    const waitS = failures.hit(address);
    return { refused: waitS > 0 ? refusal(429, "failures", waitS) : refusal(401, "authentication") };
  }

  /** Refuse what no request may have, whether for a page or a handshake. */
  function judge(request, socket) {
    const address = socket.remoteAddress;
    const waitS = request.url === "/healthz" ? 0 : requests.hit(address);
    const named = request.headers.origin;
    if (named !== undefined && !origins.includes(named)) return refusal(403, "origin");
    if (named !== undefined && `http://${request.headers.host}` !== named) return refusal(403, "origin");
    if (waitS > 0) return refusal(429, "requests", waitS);
    if (socket.crowded) return refusal(429, "connections", 1);
    if (request.headers["transfer-encoding"] || Number(request.headers["content-length"] ?? 0)) {
      return refusal(400, "a request here has no body");
    }
    if (request.rawHeaders.length > 2 * MAX_HEADERS) return refusal(431, "too many headers");
    if (request.httpVersion !== "1.1") return refusal(505, "HTTP/1.1 is served here");
    return request.method === "GET" ? null : refusal(405, "only GET is served here");
  }

  async function page(request) {
    const refused = judge(request, request.socket);
    if (refused) return refused;
    const url = located(request.url);
    const text = { ...HEADERS, "CONTENT-TYPE": "text/plain" };
    if (url.pathname === "/healthz") return { status: 200, body: "ok\n", headers: text };
    if (url.pathname === "/") return { status: 200, body: "live\n", headers: text };
    if (url.pathname !== "/metrics") return refusal(404, "no such page");
    const allowed = await granted(request.socket.remoteAddress, credentials(request, url));
    if (allowed.refused) return allowed.refused;
    if (!allowed.grant.scopes.includes("admin")) return refusal(403, "not allowed");
    const lines = [...counts].map(([why, count]) => `refusals_total{reason="${why}"} ${count}\n`);
    return { status: 200, body: `connections ${clients.size}\n${lines.join("")}`, headers: text };
  }

  server.on("connection", (socket) => {
    const address = socket.remoteAddress;
    socket.crowded = !slots.take(address);
    if (!socket.crowded) socket.once("close", () => slots.give(address));
  });

  server.on("request", async (request, response) => {
    const answer = await page(request);
    response.writeHead(answer.status, answer.headers).end(answer.body);
  });

  server.on("clientError", (error, socket) => {
    const status = error.code === "HPE_HEADER_OVERFLOW" ? 431 : 400;
    if (socket.writable) socket.write(`HTTP/1.1 ${status} Refused\r\nCONNECTION: close\r\n\r\n`);
    socket.destroySoon(); // half-closed only, it would hold its slot for as long as the peer likes
  });

  server.on("upgrade", async (request, socket, head) => {
    socket.on("error", () => socket.destroy());
    const url = located(request.url);
    let refused = judge(request, socket);
    if (!refused && url.pathname !== "/live") refused = refusal(404, "no WebSocket is served here");
    const shown = refused ? [] : credentials(request, url);
    const allowed = shown.length ? await granted(socket.remoteAddress, shown) : {};
    refused ??= allowed.refused;
    if (refused) {
      const lines = Object.entries(refused.headers).map(([name, value]) => `${name}: ${value}`);
      const length = `CONTENT-LENGTH: ${refused.body.length}`;
      const start = `HTTP/1.1 ${refused.status} ${http.STATUS_CODES[refused.status]}`;
      socket.end([start, ...lines, length, "", refused.body].join("\r\n"));
      return;
    }
    sockets.handleUpgrade(request, socket, head, (ws) => admit(ws, socket, allowed.grant));
  });

  // WebSocket

  function admit(ws, socket, grant) {
    const client = { ws, address: socket.remoteAddress, grant: null, listening: false, phases: null,
      opened: now(), active: now(), pinged: now(), answered: true, ended: null, strikes: 0,
      omitted: 0, paused: false };
    clients.add(client);
    ws.on("close", () => clients.delete(client));
    ws.on("error", () => (client.ended ??= now())); // ws has sent the close code of the fault
    ws.on("pong", () => (client.answered = true));
    ws.on("ping", (data) => (ws.bufferedAmount < BUFFERED_BYTES ? ws.pong(data) : hold(client)));
    ws.on("message", (data, binary) => hear(client, data, binary));
    if (grant) welcome(client, grant);
  }

  function say(client, message) {
    if (client.ended === null) client.ws.send(JSON.stringify(message));
    if (client.ws.bufferedAmount > BUFFERED_BYTES) hold(client);
  }

  /** Who does not read is not read from; `check` goes on when there is room. */
  function hold(client) {
    if (client.ws.readyState !== WebSocket.OPEN) return;
    client.paused = true;
    client.ws.pause();
  }

  function end(client, code, reason) {
    if (client.ended !== null) return;
    client.ended = now();
    client.ws.resume();
    client.ws.close(code, reason);
  }

  function complain(client, error, also = {}) {
    say(client, { do: "error", error, ...also });
  }

  function strike(client, why, waitS) {
    counts.set(why, (counts.get(why) ?? 0) + 1);
    client.strikes += 1;
    complain(client, "over_limit", { retry_after: Math.ceil(waitS * 1000) / 1000 });
    if (client.strikes >= 10) end(client, 4008, "over the limit");
  }

  function turnAway(client) {
    refusal(401, "authentication");
    if (failures.hit(client.address) > 0) end(client, 4008, "too many attempts");
    else end(client, 4003, "authentication failed");
  }

  function welcome(client, grant) {
    client.grant = grant;
    say(client, { do: "welcome", subject: grant.subject });
  }

  function hear(client, data, binary) {
    if (client.ended !== null) return;
    client.active = now();
    if (binary) return end(client, 1003, "text is spoken here");
    const { do: kind, token: own, ...message } = read(data.toString()) ?? {};
    const { grant } = client;
    const publishes = kind === "publish" && grant?.scopes.includes("publish");
    const waitS = publishes ? 0 : requests.hit(client.address);
    if (waitS > 0) return strike(client, "requests", waitS);
    if (!grant && kind !== "auth") return turnAway(client);
    if (grant && !tokens.holds(grant)) return end(client, 4003, "token no longer valid");
    if (own !== undefined || kind === "auth") {
      const shown = Object.keys(message).length && kind === "auth" ? null : tokens.verify(own);
      if (!shown) return turnAway(client);
      if (grant && shown.subject !== grant.subject) return end(client, 4003, "another subject");
      if (kind === "auth") return welcome(client, shown);
    }
    return obey(client, kind, message);
  }

  function obey(client, kind, message) {
    const only = (...names) => Object.keys(message).every((name) => names.includes(name));
    if (kind === "ping" && only()) return say(client, { do: "pong" });
    if (kind === "subscribe" && only("phases", "after", "epoch")) return subscribe(client, message);
    if (kind === "publish" && only("what")) return publish(client, message.what ?? null);
    return complain(client, "bad_message");
  }

  function subscribe(client, { phases, after, epoch: seen }) {
    if (!client.grant.scopes.includes("subscribe")) return complain(client, "forbidden");
    const named = phases === undefined || (Array.isArray(phases) && phases.every((p) => typeof p === "string"));
    const placed = after === undefined ? seen === undefined : Number.isSafeInteger(after) && after >= 0;
    if (!named || !placed) return complain(client, "bad_message");
    client.phases = phases === undefined ? null : new Set(phases);
    client.listening = true;
    const first = history[0]?.offset ?? offset + 1;
    const recovered = seen === epoch && after !== undefined && after >= first - 1 && after <= offset;
    say(client, { do: "subscribed", epoch, offset, recovered });
    if (recovered) history.filter((event) => event.offset > after).forEach((event) => deliver(client, event));
  }

  function publish(client, event) {
    if (!client.grant.scopes.includes("publish")) return complain(client, "forbidden");
    const what = clean(event);
    if (what === null) {
      const waitS = requests.hit(client.address);
      return waitS > 0 ? strike(client, "requests", waitS) : complain(client, "bad_event");
    }
    const waitS = quota.hit(client.grant.subject);
    if (waitS > 0) return strike(client, "quota", waitS);
    offset += 1;
    const entry = { offset, phase: what.phase, text: JSON.stringify({ do: "event", offset, what }) };
    history.push(entry);
    if (history.length > HISTORY) history.shift();
    for (const other of clients) if (other.listening) deliver(other, entry);
    return say(client, { do: "stored", offset });
  }

  function deliver(client, { phase, text }) {
    if (client.ended !== null || !tokens.holds(client.grant)) return;
    if (client.phases !== null && !client.phases.has(phase)) return;
    if (client.ws.bufferedAmount > BUFFERED_BYTES) {
      client.omitted += 1;
      return;
    }
    client.active = now();
    client.ws.send(text);
  }

  function check(client, at) {
    if (client.ended !== null) {
      if (at - client.ended >= told("close-s")) client.ws.terminate();
    } else if (!client.grant) {
      if (at - client.opened >= told("authentication-s")) end(client, 4001, "authenticate in time");
    } else if (!tokens.holds(client.grant)) {
      end(client, 4003, "token no longer valid");
    } else if (at - client.active >= told("idle-s")) {
      end(client, 4001, "idle");
    } else if (!client.answered && at - client.pinged >= told("pong-s")) {
      end(client, 4001, "no answer to a ping");
    } else if (client.answered && at - client.pinged >= told("ping-s")) {
      Object.assign(client, { pinged: at, answered: false });
      client.ws.ping();
    } else if (client.ws.bufferedAmount < BUFFERED_BYTES) {
      if (client.paused) client.ws.resume();
      client.paused = false;
      if (client.omitted) say(client, { do: "gap", omitted: client.omitted });
      client.omitted = 0;
    }
  }

  const sweeping = setInterval(() => {
    tokens.poll();
    for (const each of [requests, failures, quota]) each.sweep();
    for (const client of clients) check(client, now());
  }, SWEEP_MS);

  process.on("SIGTERM", () => {
    clearInterval(sweeping);
    server.close();
    for (const client of clients) end(client, 1001, "shutting down");
    setTimeout(() => process.exit(0), 300).unref();
  });

  server.listen(told("port"), "127.0.0.1", () => {
    const { port } = server.address();
    origins = [`http://127.0.0.1:${port}`, `http://localhost:${port}`];
    console.log(JSON.stringify({ url: `ws://127.0.0.1:${port}/live` }));
  });
}
