// What tests of the connection share: a clock, timers and sockets of the test's own.

import assert from "node:assert/strict";

import { Connection } from "./connection.js";

export const AUTH_OK = { type: "auth_ok", scope: ["subscribe"], idle_timeout: 300 };
export const fence = (offset, recovered, count, epoch = "e1") => ({
  type: "subscribed", epoch, offset, recovered, count,
});
export const state = (phase) => ({ type: "phase_update", snapshot: true, phase });
export const events = (from, to) =>
  Array.from({ length: to - from + 1 }, (_, n) => ({ type: "phase_progress", offset: from + n }));

/** Time that stands until it is moved, and sockets the test speaks through. */
export class World {
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

  connection = new Connection(this.env, this.listener);

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

  /** Sign in, take `offset` events, and be live; what was told of that is forgotten. */
  goLive(offset = 0) {
    this.connection.signIn("token");
    this.socket.onopen();
    this.hear(AUTH_OK, fence(offset, false, 0));
    if (offset > 0) this.hear(fence(0, true, offset), ...events(1, offset));
    assert.equal(this.connection.status.kind, "live");
    this.told.length = 0;
  }
}
