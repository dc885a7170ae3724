"use strict";
// Limits of the Node service.

const now = () => performance.now() / 1000;

/** At most `allowed` of something in any `lengthS` seconds, for each key. */
class Window {
  constructor(allowed, lengthS) {
    this.allowed = allowed;
    this.lengthS = lengthS;
    this.times = new Map();
  }

  /** Count one and return 0, or return the seconds until one would be counted. */
  hit(key) {
    const at = now();
    const times = (this.times.get(key) ?? []).filter((time) => time > at - this.lengthS);
    this.times.set(key, times);
    if (times.length >= this.allowed) return times[0] + this.lengthS - at;
    times.push(at);
    return 0;
  }

  /** Forget the keys that have counted nothing lately. */
  sweep() {
    const past = now() - this.lengthS;
    for (const [key, times] of this.times) if (times.at(-1) <= past) this.times.delete(key);
  }
}

/** At most `allowed` connections at a time, for each address. */
class Slots {
  constructor(allowed) {
    this.allowed = allowed;
    this.taken = new Map();
  }

  take(address) {
    const taken = this.taken.get(address) ?? 0;
    if (taken >= this.allowed) return false;
    this.taken.set(address, taken + 1);
    return true;
  }

  give(address) {
    const left = this.taken.get(address) - 1;
    if (left) this.taken.set(address, left);
    else this.taken.delete(address);
  }
}

module.exports = { Slots, Window, now };
