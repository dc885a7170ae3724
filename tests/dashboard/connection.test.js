// The connection's state machine, with a clock, a timer and sockets of the test's own.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { backoffDelay, Connection } from "./connection.js";
import { HISTORY_EVENTS } from "./resumption.js";

/** Time that stands until it is moved, and sockets the test speaks through. */
class World {
  time = 1_000_000;
  timers = new Set();
  sockets = [];
  told = [];
  probed = null;

  env = {
    now: () => this.time,
    random: () => 0.5,
    probe: async () => this.probed,
    open: () => {
      const socket = {
        sent: [],
        closed: false,
        send: (text) => socket.sent.push(JSON.parse(text)),
        close: () => {
          socket.closed = true;
        },
      };
      this.sockets.push(socket);
      return socket;
    },
    after: (ms, callback) => {
      const timer = { at: this.time + ms, callback };
      this.timers.add(timer);
      return () => this.timers.delete(timer);
    },
  };

  listener = {
    status: () => {},
    event: (event) => this.told.push(event.offset),
    snapshot: (states) => this.told.push(`snapshot of ${states.length}`),
    gap: ({ reason, from, to }) => this.told.push(`${reason} ${from}-${to}`),
    reset: () => this.told.push("reset"),
  };

  get socket() {
    return this.sockets.at(-1);
  }

  pass(ms) {
    this.time += ms;
    for (const timer of [...this.timers].filter((each) => each.at <= this.time)) {
      this.timers.delete(timer);
      timer.callback();
    }
  }

  hear(...messages) {
    for (const message of messages) this.socket.onmessage({ data: JSON.stringify(message) });
  }

  close(code, reason = "") {
    this.socket.onclose({ code, reason });
  }
}

const AUTH_OK = { type: "auth_ok", scope: ["subscribe"], idle_timeout: 300 };
const fence = (offset, recovered, count, epoch = "e1") => ({
  type: "subscribed", epoch, offset, recovered, count,
});
const state = (phase) => ({ type: "phase_update", snapshot: true, phase });
const events = (from, to) =>
  Array.from({ length: to - from + 1 }, (_, n) => ({ type: "phase_progress", offset: from + n }));

let world;
let connection;

beforeEach(() => {
  world = new World();
  connection = new Connection(world.env, world.listener);
});

function goLive(offset = 0) {
  connection.signIn("token");
  world.socket.onopen();
  world.hear(AUTH_OK, fence(offset, false, 0));
  if (offset > 0) world.hear(fence(0, true, offset), ...events(1, offset));
  assert.equal(connection.status.kind, "live");
  world.told.length = 0;
}

test("delays double from 1 s to 30 s, each within the upper half of itself", () => {
  const whole = [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000];
  whole.forEach((delay, failures) => {
    assert.equal(backoffDelay(failures, () => 0), delay / 2);
    assert.ok(backoffDelay(failures, () => 0.999_999) < delay);
  });
  assert.equal(backoffDelay(5_000, () => 0), 15_000);
});

test("the token is the first message, and the past is asked for after the first fence", () => {
  connection.signIn("secret");
  world.socket.onopen();
  world.hear({ type: "auth_required" }, AUTH_OK, state("a"), fence(5_000, false, 1));
  assert.deepEqual(world.socket.sent, [
    { type: "auth", token: "secret" },
    { type: "subscribe" },
    { type: "subscribe", since: { epoch: "e1", offset: 5_000 - HISTORY_EVENTS } },
  ]);
  assert.deepEqual(world.told, []);
});

test("states are put over the past, then come later events; events of the old cursor do not", () => {
  connection.signIn("t");
  world.socket.onopen();
  world.hear(AUTH_OK, state("a"), fence(2, false, 1), ...events(3, 3), fence(0, true, 3));
  assert.equal(connection.status.kind, "recovering");
  world.hear(...events(1, 3));
  assert.deepEqual(world.told, [1, 2, "snapshot of 1", 3]);
  assert.equal(connection.status.kind, "live");
});

test("a past that is no longer there leaves the snapshot", () => {
  connection.signIn("t");
  world.socket.onopen();
  world.hear(AUTH_OK, state("a"), fence(9, false, 1), state("a"), state("b"), fence(11, false, 2));
  assert.deepEqual(world.told, ["snapshot of 2"]);
  world.hear(...events(12, 12));
  assert.deepEqual(world.told, ["snapshot of 2", 12]);
});

test("it resumes from its offset, takes nothing twice and says how many it recovers", () => {
  goLive(3);
  world.close(1006);
  assert.equal(connection.staleSince, world.time);
  world.pass(1_000);
  world.socket.onopen();
  world.hear(AUTH_OK);
  assert.deepEqual(world.socket.sent.at(-1).since, { epoch: "e1", offset: 3 });
  world.hear(fence(3, true, 2), ...events(2, 4));
  assert.deepEqual(connection.status, { kind: "recovering", received: 1, expected: 2 });
  assert.notEqual(connection.staleSince, null);
  world.hear(...events(5, 5));
  assert.equal(connection.status.kind, "live");
  assert.equal(connection.staleSince, null);
  assert.deepEqual(world.told, [4, 5]);
  assert.equal(connection.doubled, 2);
});

test("a hole nobody announced is told as one", () => {
  goLive(3);
  world.hear(...events(6, 6));
  assert.deepEqual(world.told, ["unexplained 4-5", 6]);
});

test("an announced hole is told once", () => {
  goLive(3);
  world.hear({ type: "gap", from: 4, to: 9, omitted: 5, reason: "thinned" }, ...events(7, 7));
  world.hear(...events(10, 10));
  assert.deepEqual(world.told, ["thinned 4-9", 7, 10]);
});

test("a log that ran away is told, and its snapshot taken", () => {
  goLive(3);
  world.hear({ type: "gap", from: 4, to: 900, omitted: 897, reason: "expired" });
  world.hear(state("a"), fence(900, false, 1), ...events(901, 901));
  assert.deepEqual(world.told, ["expired 4-900", "snapshot of 1", 901]);
});

test("a resumption that comes too late is a gap", () => {
  goLive(3);
  world.close(1006);
  world.pass(1_000);
  world.socket.onopen();
  world.hear(AUTH_OK, state("a"), fence(50, false, 1));
  assert.deepEqual(world.told, ["expired 4-50", "snapshot of 1"]);
  assert.equal(connection.status.kind, "live");
});

for (const [what, late] of [["another epoch", fence(9, false, 1, "e2")], ["a log rolled back", fence(1, false, 1)]]) {
  test(`${what} is a new log`, () => {
    goLive(3);
    world.close(1006);
    world.pass(1_000);
    world.socket.onopen();
    world.hear(AUTH_OK, state("a"), late);
    assert.deepEqual(world.told, ["reset", "new_log undefined-undefined", "snapshot of 1"]);
  });
}

test("an interrupted past is finished after the interruption", () => {
  connection.signIn("t");
  world.socket.onopen();
  world.hear(AUTH_OK, state("a"), fence(4, false, 1), fence(0, true, 4), ...events(1, 2));
  world.close(1006);
  world.pass(1_000);
  world.socket.onopen();
  world.hear(AUTH_OK, fence(2, true, 3), ...events(3, 5));
  assert.deepEqual(world.told, [1, 2, 3, 4, "snapshot of 1", 5]);
  assert.equal(connection.status.kind, "live");
});

test("there is never more than one timer, and none when a person is waited for", () => {
  const kinds = new Set();
  const check = () => {
    kinds.add(connection.status.kind);
    const waits = connection.status.kind === "rejected" || connection.status.kind === "signed_out";
    assert.equal(world.timers.size, waits ? 0 : 1, connection.status.kind);
  };
  check();
  connection.signIn("t");
  check();
  connection.signIn("u");
  check();
  world.socket.onopen();
  check();
  world.hear(AUTH_OK);
  check();
  world.hear(fence(0, false, 0));
  check();
  connection.check();
  connection.wake();
  check();
  world.close(1006);
  check();
  connection.retryNow();
  connection.retryNow();
  check();
  world.socket.onopen();
  world.hear({ type: "error", code: "rate_limited", message: "m", retry_after: 3 });
  check();
  world.pass(5_000);
  check();
  world.close(4401, "x");
  check();
  assert.deepEqual([...kinds].sort(), ["connecting", "limited", "live", "rejected", "signed_out", "waiting"]);
});

test("the delay starts over only after a stable authentication", () => {
  goLive();
  const delays = [];
  for (const lasted of [9_999, 9_999, 9_999, 10_000]) {
    world.pass(0);
    world.time += lasted;
    world.close(1006);
    delays.push(connection.status.until - world.time);
    world.pass(connection.status.until - world.time);
    world.socket.onopen();
    world.hear(AUTH_OK, fence(0, true, 0));
  }
  assert.deepEqual(delays, [750, 1_500, 3_000, 750]);
});

for (const [code, reason, why] of [
  [4401, "token expired", "expired"],
  [4401, "token no longer valid", "revoked"],
  [4401, "anything", "refused"],
  [4403, "another subject", "refused"],
]) {
  test(`${code} ${reason}: nothing is tried until there is a new token`, () => {
    goLive(2);
    world.close(code, reason);
    assert.deepEqual(connection.status, { kind: "rejected", why });
    world.pass(3_600_000);
    connection.retryNow();
    connection.wake();
    assert.equal(world.sockets.length, 1);
    connection.signIn("fresh");
    world.socket.onopen();
    world.hear(AUTH_OK);
    assert.equal(world.socket.sent[1].since.offset, 2);
  });
}

test("a limit's wait is obeyed, whoever is impatient", () => {
  goLive();
  world.hear({ type: "error", code: "rate_limited", message: "m", retry_after: 40 });
  assert.equal(connection.status.kind, "live", "a refused ping does not end the watching");
  world.close(4429, "over the limit");
  assert.equal(connection.status.kind, "limited");
  world.pass(39_000);
  connection.retryNow();
  connection.wake();
  connection.signIn("another");
  assert.equal(world.sockets.length, 1);
  world.pass(2_100);
  world.socket.onopen();
  assert.deepEqual(world.socket.sent, [{ type: "auth", token: "another" }]);
});

const LIMITED = { type: "error", code: "rate_limited", message: "request limit reached" };

test("a limited message is sent again on the same connection, when it will be admitted", () => {
  connection.signIn("t");
  world.socket.onopen();
  world.hear({ type: "auth_required" }, { ...LIMITED, retry_after: 4 });
  assert.deepEqual(connection.status, {
    kind: "limited", why: "request limit reached", until: world.time + 4_050,
  });
  world.pass(4_000);
  connection.retryNow();
  connection.wake();
  assert.equal(world.socket.sent.length, 1);
  world.pass(50);
  assert.equal(connection.status.kind, "connecting");
  world.hear(AUTH_OK, fence(7, false, 0), { ...LIMITED, retry_after: 2 });
  assert.equal(connection.status.kind, "limited");
  world.pass(2_050);
  world.hear(fence(0, true, 7), ...events(1, 7));
  assert.equal(connection.status.kind, "live");
  assert.deepEqual(world.socket.sent.map(({ type, since }) => [type, since?.offset]), [
    ["auth", undefined], ["auth", undefined], ["subscribe", undefined], ["subscribe", 0], ["subscribe", 0],
  ]);
  assert.equal(world.sockets.length, 1);
});

test("a connection that ends during such a wait does not shorten it", () => {
  connection.signIn("t");
  world.socket.onopen();
  world.hear({ ...LIMITED, retry_after: 40 });
  const { until } = connection.status;
  world.pass(10_000);
  world.close(4408, "authentication deadline");
  assert.equal(connection.status.kind, "limited");
  assert.ok(connection.status.until >= until);
  assert.ok(connection.status.until <= until + 1_000);
  world.pass(29_900);
  assert.equal(world.sockets.length, 1);
  world.pass(1_200);
  assert.equal(world.sockets.length, 2);
});

test("a token that is refused during such a wait ends it", () => {
  connection.signIn("t");
  world.socket.onopen();
  world.hear({ ...LIMITED, retry_after: 40 });
  world.close(4401, "token expired");
  assert.deepEqual(connection.status, { kind: "rejected", why: "expired" });
});

test("a new token while one watches: what is shown is of the past until the new one is live", () => {
  goLive(3);
  connection.signIn("fresh");
  assert.equal(connection.staleSince, world.time);
  world.socket.onopen();
  world.hear(AUTH_OK, fence(3, true, 0));
  assert.equal(connection.staleSince, null);
});

test("the wait of a restart is obeyed, unless a person says now", () => {
  goLive();
  world.hear({ type: "server_shutdown", retry_after: 1.9 });
  world.close(1012, "restarting");
  assert.equal(connection.status.kind, "restarting");
  world.pass(1_900);
  assert.equal(world.sockets.length, 1);
  world.pass(60);
  assert.equal(world.sockets.length, 2);
});

test("without an answer the connection is given up, as of when it was last heard", () => {
  goLive();
  const heard = world.time;
  world.pass(100_000);
  assert.deepEqual(world.socket.sent.at(-1), { type: "ping" });
  world.pass(10_000);
  assert.equal(connection.status.kind, "waiting");
  assert.equal(connection.staleSince, heard);
  assert.ok(world.socket.closed);
});

test("events that come are a sign of life: no ping is needed, and a late pong is waited for", () => {
  goLive();
  world.pass(99_000);
  world.hear(...events(1, 1));
  world.pass(1_000);
  assert.equal(world.socket.sent.some(({ type }) => type === "ping"), false);
  world.pass(99_000);
  assert.equal(world.socket.sent.at(-1).type, "ping");
  world.pass(5_000);
  world.hear(...events(2, 2));
  world.pass(5_000);
  assert.equal(connection.status.kind, "live");
});

test("a returning tab connects at once, but not twice in a second", () => {
  goLive();
  world.close(1006);
  world.pass(750);
  world.close(1006);
  connection.wake();
  assert.equal(world.sockets.length, 2);
  world.time += 1_000;
  connection.wake();
  assert.equal(world.sockets.length, 3);
});

test("what a handshake does not tell is asked for beside it", async () => {
  const cases = [
    [{ status: 429, retryAfter: 7 }, "limited", /too many connections/],
    [{ status: 503, retryAfter: 1 }, "waiting", /shutting down/],
    [{ status: 200, retryAfter: 0 }, "waiting", /refused the connection/],
    [null, "waiting", /does not answer/],
  ];
  for (const [answer, kind, words] of cases) {
    connection.signOut();
    connection.signIn("t");
    world.probed = answer;
    world.close(1006);
    await null;
    await null;
    assert.equal(connection.status.kind, kind);
    assert.match(connection.status.why, words);
    assert.equal(world.timers.size, 1);
  }
});

test("what is no message of a monitor ends the connection, not the page", () => {
  goLive();
  world.socket.onmessage({ data: "no json" });
  assert.equal(connection.status.kind, "waiting");
  assert.ok(world.socket.closed);
});

test("a socket that was let go is not listened to any more", () => {
  goLive();
  const old = world.socket;
  connection.signIn("other");
  old.onmessage({ data: JSON.stringify(events(1, 1)[0]) });
  old.onclose({ code: 4401, reason: "" });
  assert.equal(connection.status.kind, "connecting");
  assert.deepEqual(world.told, []);
});
