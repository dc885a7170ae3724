// The connection's state machine: waits, limits, tokens, signs of life.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { backoffDelay } from "./connection.js";
import { AUTH_OK, events, fence, World } from "./world.js";

let world;
let connection;

beforeEach(() => {
  world = new World();
  connection = world.connection;
});

test("delays double from 1 s to 30 s, each within the upper half of itself", () => {
  const whole = [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000];
  whole.forEach((delay, failures) => {
    assert.equal(backoffDelay(failures, () => 0), delay / 2);
    assert.ok(backoffDelay(failures, () => 0.999_999) < delay);
  });
  assert.equal(backoffDelay(5_000, () => 0), 15_000);
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
  world.goLive();
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
    world.goLive(2);
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
  world.goLive();
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
  world.goLive(3);
  connection.signIn("fresh");
  assert.equal(connection.staleSince, world.time);
  world.socket.onopen();
  world.hear(AUTH_OK, fence(3, true, 0));
  assert.equal(connection.staleSince, null);
});

test("the wait of a restart is obeyed, unless a person says now", () => {
  world.goLive();
  world.hear({ type: "server_shutdown", retry_after: 1.9 });
  world.close(1012, "restarting");
  assert.equal(connection.status.kind, "restarting");
  world.pass(1_900);
  assert.equal(world.sockets.length, 1);
  world.pass(60);
  assert.equal(world.sockets.length, 2);
});

test("without an answer the connection is given up, as of when it was last heard", () => {
  world.goLive();
  const heard = world.time;
  world.pass(100_000);
  assert.deepEqual(world.socket.sent.at(-1), { type: "ping" });
  world.pass(10_000);
  assert.equal(connection.status.kind, "waiting");
  assert.equal(connection.staleSince, heard);
  assert.ok(world.socket.closed);
});

test("events that come are a sign of life: no ping is needed, and a late pong is waited for", () => {
  world.goLive();
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
  world.goLive();
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
  world.goLive();
  world.socket.onmessage({ data: "no json" });
  assert.equal(connection.status.kind, "waiting");
  assert.ok(world.socket.closed);
});

test("a socket that was let go is not listened to any more", () => {
  world.goLive();
  const old = world.socket;
  connection.signIn("other");
  old.onmessage({ data: JSON.stringify(events(1, 1)[0]) });
  old.onclose({ code: 4401, reason: "" });
  assert.equal(connection.status.kind, "connecting");
  assert.deepEqual(world.told, []);
});
