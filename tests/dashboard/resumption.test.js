// Where in the log a connection is, across interruptions, holes and new logs.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { HISTORY_EVENTS } from "./resumption.js";
import { AUTH_OK, events, fence, state, World } from "./world.js";

let world;
let connection;

beforeEach(() => {
  world = new World();
  connection = world.connection;
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
  world.goLive(3);
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
  world.goLive(3);
  world.hear(...events(6, 6));
  assert.deepEqual(world.told, ["unexplained 4-5", 6]);
});

test("an announced hole is told once", () => {
  world.goLive(3);
  world.hear({ type: "gap", from: 4, to: 9, omitted: 5, reason: "thinned" }, ...events(7, 7));
  world.hear(...events(10, 10));
  assert.deepEqual(world.told, ["thinned 4-9", 7, 10]);
});

test("a log that ran away is told, and its snapshot taken", () => {
  world.goLive(3);
  world.hear({ type: "gap", from: 4, to: 900, omitted: 897, reason: "expired" });
  world.hear(state("a"), fence(900, false, 1), ...events(901, 901));
  assert.deepEqual(world.told, ["expired 4-900", "snapshot of 1", 901]);
});

test("a resumption that comes too late is a gap", () => {
  world.goLive(3);
  world.close(1006);
  world.pass(1_000);
  world.socket.onopen();
  world.hear(AUTH_OK, state("a"), fence(50, false, 1));
  assert.deepEqual(world.told, ["expired 4-50", "snapshot of 1"]);
  assert.equal(connection.status.kind, "live");
});

for (const [what, late] of [["another epoch", fence(9, false, 1, "e2")], ["a log rolled back", fence(1, false, 1)]]) {
  test(`${what} is a new log`, () => {
    world.goLive(3);
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
