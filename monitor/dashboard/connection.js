// One connection to the monitor, kept up: sign-in, resumption, waiting, and knowing why.
//
// Touches no document: socket, probe, clock, timer and randomness are passed in as `env`; what
// comes of it is told to a `listener`. Times are milliseconds.

import { Resumption } from "./resumption.js";

export const FIRST_DELAY_MS = 1_000;
export const LONGEST_DELAY_MS = 30_000;
/** An authentication that lasted this long is stable: the next delay is the first one again. */
export const STABLE_AFTER_MS = 10_000;
/** How long the monitor has to answer a handshake, a message or a ping. */
export const ANSWER_MS = 10_000;

/** Put on top of a wait the monitor asks for: clocks and timers round differently. */
const MARGIN_MS = 50;
/** On top of that where one request will be admitted, and signing in takes three or four. */
const SIGN_IN_MARGIN_MS = 950;
/** Returning to a tab asks the connection whether it is alive if nothing was heard for so long. */
const QUIET_MS = 5_000;

/** Close reasons of the monitor that say more than that a token is not accepted. */
const REJECTIONS = { "token expired": "expired", "token no longer valid": "revoked" };
const REFUSED = new Set([4401, 4403]);
const LIMITED = 4429;
const RESTARTING = new Set([1001, 1012]);

/** The delay after so many failures: 1 s doubling to 30 s, drawn from the upper half of itself. */
export function backoffDelay(failures, random) {
  const delay = Math.min(FIRST_DELAY_MS * 2 ** Math.min(failures, 10), LONGEST_DELAY_MS);
  return delay / 2 + (random() * delay) / 2;
}

/**
 * The state machine. `status.kind` is one of: signed_out, connecting, recovering {received,
 * expected}, live, waiting {until, why}, restarting {until}, limited {until, why},
 * rejected {why}.
 *
 * env: open() → WebSocket; probe() → Promise of {status, retryAfter} or null; now(); random();
 *   after(ms, callback) → cancel.
 * listener: status(), and what `Resumption` tells its own.
 */
export class Connection {
  #env;
  #listener;
  #token = null;
  #socket = null;
  #cancel = () => {};
  #failures = 0;
  #attemptedAt = 0;
  #authenticatedAt = null;
  #heardAt = 0;
  #pingedAt = null;
  #idle = 300_000;
  #pending = null; // the message of ours, other than a ping, that waits for its answer
  #retryAfter = null;
  #resumption;

  constructor(env, listener) {
    this.#env = env;
    this.#listener = listener;
    this.#resumption = new Resumption(listener);
    this.status = { kind: "signed_out" };
    /** When what is shown stopped being current; null while it is, or before it ever was. */
    this.staleSince = null;
    this.everLive = false;
  }

  /** Events that came a second time, and were taken once. */
  get doubled() {
    return this.#resumption.doubled;
  }

  /** Connect with a token, at once; a wait a limit demands is not cut short. */
  signIn(token) {
    this.#token = token;
    this.#lose();
    if (this.status.kind === "limited") {
      this.#arm(this.status.until - this.#env.now(), () => this.#connect());
      return;
    }
    this.#failures = 0;
    this.#connect();
  }

  /** Forget the token, and where in the log we were. */
  signOut() {
    this.#token = null;
    this.#resumption.forget();
    this.#release();
    this.staleSince = null;
    this.everLive = false;
    this.#set({ kind: "signed_out" });
  }

  /** Connect now instead of waiting further. */
  retryNow() {
    if (["waiting", "restarting"].includes(this.status.kind)) this.#connect();
  }

  /** The device is back on a network, or the tab is looked at again. */
  wake() {
    const now = this.#env.now();
    const rested = now - this.#attemptedAt >= FIRST_DELAY_MS;
    if (this.status.kind === "waiting" && rested) this.#connect();
    else if (now - this.#heardAt >= QUIET_MS) this.check();
  }

  /** Ask whether the connection still works; without an answer it is given up. */
  check() {
    if (this.#authenticatedAt === null || this.#pending || this.#pingedAt !== null) return;
    this.#pingedAt = this.#env.now();
    this.#send({ type: "ping" });
    this.#arm(ANSWER_MS, () => this.#unanswered());
  }

  #connect() {
    this.#release();
    this.#attemptedAt = this.#env.now();
    this.#retryAfter = null;
    this.#set({ kind: "connecting" });
    const socket = this.#env.open();
    let opened = false;
    this.#socket = socket;
    socket.onopen = () => {
      opened = true;
      if (this.#socket === socket) this.#ask({ type: "auth", token: this.#token });
    };
    socket.onmessage = ({ data }) => {
      if (this.#socket === socket) this.#received(data);
    };
    socket.onclose = ({ code, reason }) => {
      if (this.#socket === socket) this.#closed(code, reason, opened);
    };
    this.#expectAnswer();
  }

  #received(text) {
    this.#heardAt = this.#env.now();
    const message = parsed(text);
    switch (message?.type) {
      case undefined:
        this.#giveUp("what answers is no monitor");
        break;
      case "auth_ok":
        this.#authenticated(message);
        break;
      case "subscribed":
        this.#fenced(this.#resumption.fence(message));
        break;
      case "gap":
        this.#resumption.skip(message);
        this.#recovered();
        break;
      case "pong":
        this.#pingedAt = null;
        this.#keepAlive();
        break;
      case "error":
        this.#refused(message);
        break;
      case "server_shutdown":
        this.#retryAfter = message.retry_after * 1_000;
        break;
      default:
        if (message.snapshot) this.#resumption.state(message);
        else if (Number.isSafeInteger(message.offset)) this.#take(message);
    }
  }

  #authenticated({ scope, idle_timeout }) {
    this.#authenticatedAt = this.#env.now();
    this.#idle = idle_timeout * 1_000;
    if (!scope.includes("subscribe")) {
      this.#reject("scope");
      return;
    }
    this.#ask(this.#resumption.begin());
  }

  #fenced(next) {
    if (next !== null) {
      this.#ask(next);
      return;
    }
    this.#pending = null;
    this.#keepAlive();
    const { received, expected } = this.#resumption;
    this.#set({ kind: "recovering", received, expected });
    this.#recovered();
  }

  #take(event) {
    this.#resumption.event(event, this.status.kind === "live");
    this.#recovered();
  }

  /** Tell how far recovery is; go live once everything that was there at the fence has come. */
  #recovered() {
    if (this.status.kind !== "recovering") return;
    this.status.received = this.#resumption.received;
    if (!this.#resumption.caughtUp) return;
    this.staleSince = null;
    this.everLive = true;
    this.#set({ kind: "live" });
  }

  #refused({ code, message, retry_after }) {
    if (retry_after !== undefined) this.#retryAfter = retry_after * 1_000;
    if (code === "rate_limited" && this.#pending !== null) {
      this.#postpone(message);
    } else if (code === "rate_limited" && this.#authenticatedAt !== null) {
      this.#pingedAt = null; // a refused ping is an answer too: the connection works
      this.#arm(Math.max(this.#retryAfter ?? 0, this.#idle / 3), () => this.#keepAlive());
    } else if (code === "forbidden") {
      this.#reject("scope");
    }
    // Any other refusal is followed by the close that says what it means.
  }

  /** Say the same again once it will be admitted: on this connection, a new one would cost more. */
  #postpone(why) {
    const delay = this.#delay(MARGIN_MS);
    this.#set({ kind: "limited", why, until: this.#env.now() + delay });
    this.#arm(delay, () => {
      this.#retryAfter = null;
      this.#set({ kind: "connecting" });
      this.#ask(this.#pending);
    });
  }

  #closed(code, reason, opened) {
    const { status } = this;
    this.#lose();
    if (REFUSED.has(code)) {
      this.#reject(REJECTIONS[reason] ?? "refused");
    } else if (status.kind === "limited") {
      // It did not wait with us. Our own wait stays as long as it was.
      this.#retryAfter = Math.max(0, status.until - this.#env.now());
      this.#wait("limited", status.why);
    } else if (code === LIMITED) {
      this.#wait("limited", reason);
    } else if (RESTARTING.has(code)) {
      this.#wait("restarting", reason);
    } else {
      const why = opened ? reason || "the connection broke off" : "the monitor does not answer";
      this.#wait("waiting", why);
      if (!opened) this.#findOut();
    }
  }

  /** Browsers hide why a handshake failed; a page that costs no request may tell. */
  async #findOut() {
    const { status } = this;
    const answer = await this.#env.probe();
    if (this.status !== status || answer === null) return;
    if (answer.status === 429) {
      this.#retryAfter = answer.retryAfter * 1_000;
      this.#wait("limited", "too many connections from this address");
      return;
    }
    const why = answer.status === 503 ? "is shutting down or full" : "refused the connection";
    this.#set({ ...status, why: `the monitor ${why}` });
  }

  #unanswered() {
    const busy = this.#heardAt > this.#pingedAt; // the answer waits behind what is coming in
    this.#pingedAt = null;
    if (busy) {
      this.#keepAlive();
    } else {
      this.staleSince ??= this.#heardAt; // nothing is known of the time since
      this.#giveUp("the monitor stopped answering");
    }
  }

  /** Ping once nothing was heard for a third of the time after which the monitor would close. */
  #keepAlive() {
    const left = this.#heardAt + this.#idle / 3 - this.#env.now();
    if (left > 0) this.#arm(left, () => this.#keepAlive());
    else this.check();
  }

  #giveUp(why) {
    this.#lose();
    this.#wait("waiting", why);
  }

  #reject(why) {
    this.#lose();
    this.#token = null;
    this.#set({ kind: "rejected", why });
  }

  #wait(kind, why) {
    const delay = this.#delay(MARGIN_MS + (kind === "limited" ? SIGN_IN_MARGIN_MS : 0));
    this.#set({ kind, why, until: this.#env.now() + delay });
    this.#arm(delay, () => this.#connect());
  }

  /** The next wait: what the monitor asked for and a margin, or a longer back-off. */
  #delay(margin) {
    const asked = this.#retryAfter === null ? 0 : this.#retryAfter + margin;
    const delay = Math.max(backoffDelay(this.#failures, this.#env.random), asked);
    this.#failures += 1;
    return delay;
  }

  /** Let go of the socket; from now on what is shown is of the past. */
  #lose() {
    const now = this.#env.now();
    const stable = now - (this.#authenticatedAt ?? now) >= STABLE_AFTER_MS;
    if (stable) this.#failures = 0;
    if (this.everLive) this.staleSince ??= now;
    this.#release();
  }

  #release() {
    this.#cancel();
    this.#authenticatedAt = null;
    this.#pingedAt = null;
    this.#pending = null;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #ask(message) {
    this.#pending = message;
    this.#send(message);
    this.#expectAnswer();
  }

  #expectAnswer() {
    this.#arm(ANSWER_MS, () => this.#giveUp("the monitor did not answer in time"));
  }

  #send(message) {
    this.#socket.send(JSON.stringify(message));
  }

  /** Set the one timer; whatever it was set for before is off. */
  #arm(ms, callback) {
    this.#cancel();
    this.#cancel = this.#env.after(ms, callback);
  }

  #set(status) {
    this.status = status;
    this.#listener.status();
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
