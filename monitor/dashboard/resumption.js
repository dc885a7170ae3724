// Where this page is in the monitor's log, and what has to come before it is live again.
//
// Touches neither socket nor clock: it is given the monitor's messages, returns the subscription to
// ask for, and tells a listener what may be shown.

/** Events of the past a newly opened page asks for, so that log and timeline do not begin empty. */
export const HISTORY_EVENTS = 2_000;

/**
 * Where a reader is in the monitor's log: each offset is taken once, in order, and every hole is
 * either announced or found.
 */
export class Cursor {
  #announced = 0;

  constructor(epoch, offset) {
    this.epoch = epoch;
    this.offset = offset;
  }

  /** Whether everything up to `offset` was taken, or announced as left out. */
  reached(offset) {
    return Math.max(this.offset, this.#announced) >= offset;
  }

  /** Events up to `offset` may be missing: the monitor said so. */
  announce(offset) {
    this.#announced = Math.max(this.#announced, offset);
  }

  /** Take an event's offset: false if it was taken before, else {hole}, a gap or undefined. */
  take(offset) {
    if (offset <= this.offset) return false;
    const from = Math.max(this.offset, this.#announced) + 1;
    this.offset = offset;
    if (offset <= from) return {};
    return { hole: { from, to: offset - 1, omitted: offset - from, reason: "unexplained" } };
  }
}

/**
 * Takes subscriptions, fences, gaps, states and events in the order the monitor sends them.
 *
 * listener: event(event, live), snapshot(states), gap(gap), reset(). `received` of `expected` is
 * how far the recovery since the last fence is; `doubled` counts events that came a second time.
 */
export class Resumption {
  #listener;
  #cursor = null;
  #asked = null; // what the next fence answers: first, history, resume; null: nothing was asked
  #states = [];
  #history = null; // states held back until the past up to the first fence is there
  #target = 0;
  received = 0;
  expected = 0;
  doubled = 0;

  constructor(listener) {
    this.#listener = listener;
  }

  /** Forget where we were. */
  forget() {
    this.#cursor = null;
    this.#history = null;
    this.#asked = null;
  }

  /** Return the subscription to ask for on a new connection. */
  begin() {
    this.#asked = this.#cursor ? "resume" : "first";
    this.#states = [];
    return this.#subscription();
  }

  /** Whether everything that was there at the fence has come, or was announced as left out. */
  get caughtUp() {
    return this.#asked === null && this.#cursor !== null && this.#cursor.reached(this.#target);
  }

  /**
   * Take a fence: what came before belongs to the old cursor, what follows to the new. Returns the
   * subscription to ask for next, or null.
   */
  fence({ epoch, offset, recovered, count }) {
    const asked = this.#asked;
    const states = this.#states;
    this.#asked = null;
    this.#states = [];
    if (asked === "first" && offset > 0) {
      // The past is asked for before anything is shown, so that states never run backwards.
      this.#history = { until: offset, states };
      this.#cursor = new Cursor(epoch, Math.max(0, offset - HISTORY_EVENTS));
      this.#asked = "history";
      return this.#subscription();
    }
    this.received = 0;
    this.expected = recovered ? count : 0;
    if (recovered) {
      this.#target = offset + count;
      this.#endHistory(this.#cursor.offset);
      return null;
    }
    if (asked === "resume") this.#tellLoss(epoch, offset);
    this.#cursor = new Cursor(epoch, offset);
    this.#history = null;
    this.#target = offset;
    this.#listener.snapshot(states);
    return null;
  }

  /** Take the announcement of events that were left out. */
  skip(gap) {
    if (this.#asked) return;
    this.#listener.gap(gap);
    this.#cursor.announce(gap.to);
    if (gap.reason === "expired") this.#cursor.take(gap.to); // state and fence follow
    else this.#endHistory(this.#cursor.offset);
  }

  /** Take one phase's state; all of them are shown at the fence that follows. */
  state(state) {
    this.#states.push(state);
  }

  /** Take an event that has an offset; `live` tells that it has just happened. */
  event(event, live) {
    if (this.#asked || !this.#cursor) return; // of a cursor that is being replaced
    const taken = this.#cursor.take(event.offset);
    if (!taken) {
      this.doubled += 1;
      return;
    }
    if (taken.hole) this.#listener.gap(taken.hole);
    this.#endHistory(event.offset - 1);
    this.#listener.event(event, live);
    this.received += 1;
    this.#endHistory(event.offset);
  }

  #subscription() {
    const since = this.#cursor ?? undefined;
    return { type: "subscribe", since: since && { epoch: since.epoch, offset: since.offset } };
  }

  #tellLoss(epoch, offset) {
    const last = this.#cursor.offset;
    if (epoch !== this.#cursor.epoch || offset < last) {
      this.#listener.reset();
      this.#listener.gap({ reason: "new_log", omitted: null });
    } else if (offset > last) {
      const omitted = offset - last;
      this.#listener.gap({ from: last + 1, to: offset, omitted, reason: "expired" });
    }
  }

  /** The past up to an offset is there: states held back since then are put over it. */
  #endHistory(offset) {
    if (this.#history === null || offset < this.#history.until) return;
    const { states } = this.#history;
    this.#history = null;
    this.#listener.snapshot(states);
  }
}
