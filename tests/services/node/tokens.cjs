"use strict";
// Tokens of the Node service: JWTs with one algorithm, made and judged with node:crypto alone.

const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

const ISSUER = "node-service";
const HEADER = { alg: "HS256", typ: "JWT" };

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const isText = (value) => typeof value === "string" && value.length > 0;
const isInstant = (value) => Number.isSafeInteger(value) && value >= 0;

/** Decode base64url, or return null unless this is the one way to spell it. */
function decode(part) {
  const bytes = Buffer.from(part, "base64url");
  return bytes.toString("base64url") === part ? bytes : null;
}

class Tokens {
  constructor(state) {
    this.files = ["revoked", "disabled"].map((name) => path.join(state, name));
    const file = path.join(state, "key");
    if (!fs.existsSync(file)) {
      fs.writeFileSync(file, crypto.randomBytes(48).toString("base64url"), { mode: 0o600 });
    }
    this.key = fs.readFileSync(file, "utf8");
    for (const list of this.files) fs.closeSync(fs.openSync(list, "a"));
    this.poll();
  }

  /** Read again who is revoked or disabled, if somebody was added. */
  poll() {
    const seen = this.files.map((file) => fs.statSync(file).size).join();
    if (seen === this.seen) return;
    [this.revoked, this.disabled] = this.files.map(
      (file) => new Set(fs.readFileSync(file, "utf8").split("\n").filter(Boolean)),
    );
    this.seen = seen;
  }

  sign(text) {
    return crypto.createHmac("sha256", this.key).update(text).digest();
  }

  issue(sub, scope, lifetimeS) {
    const now = Date.now() / 1000;
    const claims = {
      iss: ISSUER, aud: ISSUER, sub, scope, jti: crypto.randomUUID(),
      iat: Math.floor(now), exp: Math.ceil(now + lifetimeS),
    };
    const text = `${encode(HEADER)}.${encode(claims)}`;
    return `${text}.${this.sign(text).toString("base64url")}`;
  }

  /** Return what a token grants now, or null, for whatever reason. */
  verify(token) {
    if (!isText(token) || token.length > 4096) return null;
    const parts = token.split(".");
    if (parts.length !== 3) return null;
    const [header, claims, signature] = parts.map(decode);
    if (!header || !claims || !signature || signature.length !== 32) return null;
    if (!crypto.timingSafeEqual(signature, this.sign(`${parts[0]}.${parts[1]}`))) return null;
    try {
      return this.granted(JSON.parse(header), JSON.parse(claims));
    } catch (error) {
      if (error instanceof SyntaxError) return null;
      throw error;
    }
  }

  granted(header, claims) {
    const known = ["alg", "typ"];
    if (!header || !claims || !Object.keys(header).every((name) => known.includes(name))) return null;
    if (header.alg !== HEADER.alg || claims.iss !== ISSUER || claims.aud !== ISSUER) return null;
    if (![claims.sub, claims.scope, claims.jti].every(isText)) return null;
    if (![claims.iat, claims.exp, claims.nbf ?? 0].every(isInstant)) return null;
    if (Math.max(claims.iat, claims.nbf ?? 0) > Date.now() / 1000 + 5) return null;
    const grant = { subject: claims.sub, scopes: claims.scope.split(" "), id: claims.jti,
      expiresAt: claims.exp };
    return this.holds(grant) ? grant : null;
  }

  /** Tell whether a grant is neither expired nor revoked, nor its subject disabled. */
  holds(grant) {
    return Date.now() / 1000 < grant.expiresAt && !this.revoked.has(grant.id) &&
      !this.disabled.has(grant.subject);
  }

  /** Take a token's or a subject's rights away. */
  add(list, name) {
    fs.appendFileSync(this.files[list], `${name}\n`);
  }
}

module.exports = { Tokens };
