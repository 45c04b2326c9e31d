"use strict";
// The ledger's verifier for a browser: a worker that fetches checkpoint, entries and tiles
// (C2SP tlog-tiles) and believes nothing but the verifier key it is given. A convenience: this
// file comes from the server it checks. The proof is `python -m trading.verify`, run elsewhere.
const WIDTH = 256;
const ENTRY_BYTES_MAX = 65535;
const DEPTH_MAX = 16;
const KINDS = new Set(["genesis", "readings", "book", "clearing", "plan", "setpoints", "settlement",
  "correction", "invoice", "network", "action", "checkpoint", "key"]);
const MEMBERS = "body,interval,kind,previous,schema,sequence";
const bytesOf = (text) => new TextEncoder().encode(text);

// What does not hold: a reason the page has a text for, and what fills that text in.
class NotVerified extends Error {
  constructor(reason, facts = {}, entry = null) {
    super(reason);
    this.report = { reason, facts, entry };
  }
}

// --- hashes -----------------------------------------------------------------
const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
const same = (a, b) => a.length === b.length && a.every((byte, at) => byte === b[at]);
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const unhex = (text) => Uint8Array.from(text.match(/../g) || [], (pair) => parseInt(pair, 16));

function prefixed(mark, ...parts) {
  const found = new Uint8Array(1 + parts.reduce((sum, part) => sum + part.length, 0));
  let at = 1;
  found[0] = mark;
  for (const part of parts) { found.set(part, at); at += part.length; }
  return found;
}
const leafHash = (bytes) => sha256(prefixed(0, bytes));
const nodeHash = (left, right) => sha256(prefixed(1, left, right));

async function perfect(hashes) {
  let row = hashes;
  while (row.length > 1) {
    const pairs = [];
    for (let at = 0; at < row.length; at += 2) pairs.push(nodeHash(row[at], row[at + 1]));
    row = await Promise.all(pairs);
  }
  return row[0];
}

// Perfect subtrees from the left, merged as they meet their equal (RFC 6962, section 2.1).
class Stack {
  constructor(trees = []) { this.trees = trees; }
  async push(value, height = 0) {
    let [root, level] = [value, height];
    while (this.trees.length && this.trees.at(-1)[0] === level) {
      root = await nodeHash(this.trees.pop()[1], root);
      level += 1;
    }
    this.trees.push([level, root]);
  }
  async root() {
    if (!this.trees.length) return sha256(new Uint8Array());
    let root = this.trees.at(-1)[1];
    for (const [, left] of this.trees.slice(0, -1).reverse()) root = await nodeHash(left, root);
    return root;
  }
  async rootWith(leaves) {
    const copy = new Stack([...this.trees]);
    for (const leaf of leaves) await copy.push(leaf);
    return copy.root();
  }
}

// --- keys and notes (C2SP signed-note) --------------------------------------
function unbase64(text) {
  let binary;
  try { binary = atob(text); } catch { return null; }
  return btoa(binary) === text ? Uint8Array.from(binary, (letter) => letter.charCodeAt(0)) : null;
}
const isName = (text) => text !== "" && !/[\s\p{C}+]/u.test(text);

async function parseKey(text) {
  const [name, identity, ...rest] = text.split("+");
  const raw = rest.length ? unbase64(rest.join("+")) : null;
  if (!raw || raw.length !== 33 || raw[0] !== 1 || !isName(name)) throw new NotVerified("key_form");
  const id = (await sha256(new Uint8Array([...bytesOf(name + "\n"), ...raw]))).slice(0, 4);
  if (hex(id) !== identity) throw new NotVerified("key_id", { id: hex(id) });
  const verifier = await crypto.subtle.importKey("raw", raw.slice(1), "Ed25519", false, ["verify"]);
  return { name, id, text, verifier };
}
const holds = (key, signature, text) =>
  crypto.subtle.verify("Ed25519", key.verifier, signature, bytesOf(text));

function parseCheckpoint(note, file) {
  const bad = () => new NotVerified("checkpoint_form", { file });
  const cut = note.lastIndexOf("\n\n");
  if (cut < 0 || !note.endsWith("\n") || /[\x00-\x09\x0b-\x1f]/.test(note)) throw bad();
  const text = note.slice(0, cut + 1);
  const [origin, size, root, end, ...more] = text.split("\n");
  const hash = unbase64(root || "");
  const isNumber = /^(0|[1-9][0-9]{0,15})$/.test(size);
  if (!origin || !isNumber || !Number.isSafeInteger(+size) || end !== "" || more.length) throw bad();
  if (!hash || hash.length !== 32) throw bad();
  const lines = note.slice(cut + 2, -1).split("\n").map((line) => {
    const [dash, name, base64, ...rest] = line.split(" ");
    const raw = unbase64(base64 || "");
    if (dash !== "—" || rest.length || !isName(name || "") || !raw || raw.length < 5) throw bad();
    return { name, id: raw.slice(0, 4), signature: raw.slice(4) };
  });
  return { file, text, origin, size: +size, root: hash, lines };
}

async function requireSignature(head, key) {
  if (head.origin !== key.name) throw new NotVerified("other_log", { file: head.file, origin: head.origin });
  const own = head.lines.filter((line) => line.name === key.name && same(line.id, key.id));
  if (!own.length) throw new NotVerified("not_signed", { file: head.file });
  for (const line of own) {
    if (!await holds(key, line.signature, head.text)) throw new NotVerified("signature", { file: head.file });
  }
}
const keyAt = (keys, size) => keys.filter(([since]) => since < Math.max(size, 0)).at(-1)[1];

// --- entries ----------------------------------------------------------------
// RFC 8785 without numbers that are no integers: entries have none.
function canonical(value, depth = 0) {
  if (typeof value === "string") {
    if (/[\ud800-\udfff]/u.test(value)) throw new NotVerified("canonical");
    return JSON.stringify(value);
  }
  if (typeof value === "number" && !Number.isSafeInteger(value)) throw new NotVerified("canonical");
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (depth === DEPTH_MAX) throw new NotVerified("canonical");
  if (Array.isArray(value)) return `[${value.map((part) => canonical(part, depth + 1)).join(",")}]`;
  const parts = Object.keys(value).sort();
  return `{${parts.map((name) => `${canonical(name)}:${canonical(value[name], depth + 1)}`).join(",")}}`;
}

function isLabel(text) {
  if (text === "") return true;
  if (!/^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}Z$/.test(text) || text.startsWith("0000")) return false;
  const at = new Date(text);
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text.slice(0, -1));
}
const isHash = (text) => typeof text === "string" && /^[0-9a-f]{64}$/.test(text);
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

function parseEntry(bytes) {
  let text, entry;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    entry = JSON.parse(text);
  } catch { throw new NotVerified("canonical"); }
  if (bytes.length > ENTRY_BYTES_MAX || canonical(entry) !== text) throw new NotVerified("canonical");
  const digests = isObject(entry) && isObject(entry.body) ? entry.body.commitments ?? [] : null;
  const well = isObject(entry) && Object.keys(entry).join() === MEMBERS && isHash(entry.previous)
    && KINDS.has(entry.kind) && typeof entry.interval === "string" && isLabel(entry.interval)
    && Number.isSafeInteger(entry.schema) && entry.schema >= 1 && Number.isSafeInteger(entry.sequence)
    && Array.isArray(digests) && digests.every((one, at) => isHash(one) && (!at || digests[at - 1] < one));
  if (!well || entry.body.commitments === null) throw new NotVerified("members");
  return entry;
}

// What can still be said of an entry, whatever is wrong with it.
function about(sequence, bytes) {
  const text = new TextDecoder("latin1").decode(bytes);
  const tails = [...text.matchAll(/"interval":"([^"]{0,24})","kind":"([^"]{1,24})","previous":/g)];
  const tail = tails.at(-1) || ["", "", "?"];
  return { sequence, kind: tail[2], interval: tail[1] };
}

// The key an entry puts in the place of `key`, which must have signed that.
async function successor(key, entry, at) {
  const { log_key: text, signature } = entry.body;
  const signed = `khazri/log-key/v1\n${key.name}\n${at.sequence}\n${entry.previous}\n${text}\n`;
  const well = typeof text === "string" && typeof signature === "string" && /^[0-9a-f]{128}$/.test(signature);
  if (!well || !await holds(key, unhex(signature), signed)) throw new NotVerified("rotation", {}, at);
  let found;
  try { found = await parseKey(text); } catch { throw new NotVerified("rotation", {}, at); }
  if (found.name !== key.name) throw new NotVerified("rotation", {}, at);
  return found;
}

// --- files of the log -------------------------------------------------------
function tilePath(level, number, width) {
  const digits = String(number);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, "0").match(/.../g);
  const path = groups.map((group, at) => (at < groups.length - 1 ? `x${group}` : group)).join("/");
  return `tile/${level}/${path}${width < WIDTH ? `.p/${width}` : ""}`;
}
const widthOf = (level, number, size) => Math.min(WIDTH, Math.floor(size / WIDTH ** level) - number * WIDTH);

class Log {
  constructor(base) { this.base = base; this.kept = new Map(); }
  async read(file) {
    let answer;
    try { answer = await fetch(this.base + file, { redirect: "manual", cache: "no-store" }); } catch { answer = { status: 0 }; }
    if (answer.status !== 200) throw new NotVerified("file", { file, status: answer.status });
    return new Uint8Array(await answer.arrayBuffer());
  }
  async checkpoint() {
    return parseCheckpoint(new TextDecoder().decode(await this.read("checkpoint")), "checkpoint");
  }
  async hashes(level, number, width) {
    const file = tilePath(level, number, width);
    const bytes = await this.read(file);
    if (bytes.length !== 32 * width) throw new NotVerified("tile_length", { file });
    return Array.from({ length: width }, (_, at) => bytes.slice(32 * at, 32 * at + 32));
  }
  async keptHashes(level, number, width) {
    const path = tilePath(level, number, width);
    if (!this.kept.has(path)) this.kept.set(path, this.hashes(level, number, width));
    return this.kept.get(path);
  }
  async entries(number, width) {
    const file = tilePath("entries", number, width);
    const bytes = await this.read(file);
    const found = [];
    let at = 0;
    for (let slot = 0; slot < width; slot += 1) {
      const end = at + 2 + bytes[at] * 256 + bytes[at + 1];
      if (!(end <= bytes.length)) throw new NotVerified("cut_off", {}, about(number * WIDTH + slot, bytes.slice(at)));
      found.push(bytes.slice(at + 2, end));
      at = end;
    }
    if (at !== bytes.length) throw new NotVerified("bundle", { file });
    return found;
  }
}

// --- the whole log ----------------------------------------------------------
class Walk {
  constructor(log, key, head, earlier) {
    Object.assign(this, { log, head, earlier, keys: [[-1, key]], stack: new Stack() });
    this.previous = "0".repeat(64);
    this.before = null; // the entry before, as `about` says it
    this.broken = null; // the first link that does not hold, until the next says whose fault it is
    this.above = []; // by level: roots of the full tiles below, waiting for the tile that holds them
    this.earlierRoot = null;
  }
  async run(tell) {
    const { size } = this.head;
    const pull = (number) => {
      const width = widthOf(0, number, size);
      const both = Promise.all([this.log.entries(number, width), this.log.hashes(0, number, width)]);
      both.catch(() => {}); // told where it is awaited
      return both;
    };
    const count = Math.ceil(size / WIDTH);
    if (this.earlier && this.earlier.size === 0) this.earlierRoot = await this.stack.root();
    let next = count ? pull(0) : null;
    for (let number = 0; number < count; number += 1) {
      const [entries, tile] = await next;
      next = number + 1 < count ? pull(number + 1) : null;
      await this.bundle(number * WIDTH, entries, tile);
      tell(number * WIDTH + entries.length, size);
    }
    if (this.broken) throw this.broken;
    for (let level = 0; level < this.above.length; level += 1) await this.compare(level, true);
    await this.conclude();
  }
  async bundle(first, entries, tile) {
    const leaves = await Promise.all(entries.map(leafHash));
    for (let slot = 0; slot < entries.length; slot += 1) await this.entry(first + slot, entries[slot], leaves[slot], tile[slot]);
    if (this.earlier && first < this.earlier.size && this.earlier.size <= first + entries.length) {
      this.earlierRoot = await this.stack.rootWith(leaves.slice(0, this.earlier.size - first));
    }
    if (leaves.length < WIDTH) {
      for (const leaf of leaves) await this.stack.push(leaf);
    } else {
      const root = await perfect(leaves);
      await this.stack.push(root, 8);
      await this.raise(0, root);
    }
  }
  async entry(sequence, bytes, leaf, told) {
    const place = about(sequence, bytes);
    if (!same(leaf, told)) throw new NotVerified("leaf", {}, place);
    let entry;
    try { entry = parseEntry(bytes); } catch (error) {
      throw error instanceof NotVerified ? new NotVerified(error.report.reason, {}, place) : error;
    }
    if (entry.sequence !== sequence) throw new NotVerified("sequence", { told: entry.sequence }, place);
    if ((entry.kind === "genesis") !== (sequence === 0)) throw new NotVerified("genesis", {}, place);
    if (sequence === 0 && entry.body.key !== this.keys[0][1].text) throw new NotVerified("wrong_key", {}, place);
    this.link(entry, place);
    if (entry.kind === "key" && "log_key" in entry.body) {
      this.keys.push([sequence, await successor(this.keys.at(-1)[1], entry, place)]);
    }
    this.previous = hex(leaf);
    this.before = place;
  }
  // One broken link is the fault of its older end, two in a row of the entry between them.
  link(entry, place) {
    if (entry.previous === this.previous) {
      if (this.broken) throw this.broken;
      return;
    }
    const fault = new NotVerified("chain", {}, this.before || place);
    if (this.broken || !this.before) throw fault;
    this.broken = fault;
  }
  async raise(level, root) {
    const above = (this.above[level] ||= { number: 0, roots: [] });
    above.roots.push(root);
    if (above.roots.length === WIDTH) await this.compare(level, false);
  }
  // Compare the roots of full tiles of a level with the tile above that holds them.
  async compare(level, last) {
    const above = this.above[level];
    if (last && !above.roots.length) return;
    const hashes = await this.log.hashes(level + 1, above.number, above.roots.length);
    const wrong = hashes.findIndex((hash, at) => !same(hash, above.roots[at]));
    const file = tilePath(level + 1, above.number, above.roots.length);
    if (wrong >= 0) throw new NotVerified("tile", { file, hash: wrong });
    const root = last ? null : await perfect(above.roots);
    this.above[level] = { number: above.number + 1, roots: [] };
    if (root) await this.raise(level + 1, root);
  }
  async conclude() {
    const { head, earlier } = this;
    if (!same(await this.stack.root(), head.root)) throw new NotVerified("root", { size: head.size });
    for (const one of earlier ? [head, earlier] : [head]) await requireSignature(one, keyAt(this.keys, one.size));
    if (earlier && !same(this.earlierRoot, earlier.root)) throw new NotVerified("fork", { size: earlier.size });
  }
}

async function verifyLog({ base, key: keyText, earlier: note }, tell) {
  const key = await parseKey(keyText);
  const log = new Log(base);
  const head = await log.checkpoint();
  const earlier = note ? parseCheckpoint(note, "earlier") : null;
  if (head.origin !== key.name) throw new NotVerified("other_log", { file: head.file, origin: head.origin });
  // Where the log replaced its key, who must have signed is known after all entries were seen.
  for (const one of earlier ? [head, earlier] : [head]) {
    if (one.lines.some((line) => line.name === key.name && same(line.id, key.id))) await requireSignature(one, key);
  }
  if (earlier && earlier.size > head.size) {
    throw new NotVerified("truncated", { size: head.size, earlier: earlier.size });
  }
  const walk = new Walk(log, key, head, earlier);
  await walk.run(tell);
  return { size: head.size, origin: head.origin, root: hex(head.root), keys: walk.keys.length, earlier: earlier ? earlier.size : null };
}

// --- one entry --------------------------------------------------------------
class Proof {
  constructor(log, size) { this.log = log; this.size = size; }
  // The root over the leaves [start, end); every subtree but the last is perfect.
  async range(start, end) {
    const length = end - start;
    const height = Math.log2(length);
    if (Number.isInteger(height)) {
      const level = Math.floor(height / 8);
      const width = 2 ** (height - 8 * level);
      const first = start / 2 ** (8 * level);
      const number = Math.floor(first / WIDTH);
      const hashes = await this.log.keptHashes(level, number, widthOf(level, number, this.size));
      return perfect(hashes.slice(first % WIDTH, (first % WIDTH) + width));
    }
    const half = 2 ** Math.floor(height);
    return nodeHash(await this.range(start, start + half), await this.range(start + half, end));
  }
  // The root that follows from a leaf and its neighbours on the way up.
  async rootFrom(leaf, index) {
    const path = [];
    let [start, end] = [0, this.size];
    while (end - start > 1) {
      const half = start + 2 ** Math.ceil(Math.log2(end - start) - 1);
      if (index < half) { path.push([await this.range(half, end), false]); end = half; }
      else { path.push([await this.range(start, half), true]); start = half; }
    }
    let root = leaf;
    for (const [sibling, left] of path.reverse()) root = await (left ? nodeHash(sibling, root) : nodeHash(root, sibling));
    return { root, steps: path.length };
  }
}

async function verifyEntry({ base, key: keyText, sequence, shown, keys: replaced }) {
  let key = await parseKey(keyText);
  const log = new Log(base);
  const head = await log.checkpoint();
  if (head.size <= sequence) throw new NotVerified("uncovered", { size: head.size }, about(sequence, bytesOf(shown)));
  const proof = new Proof(log, head.size);
  const included = async (index, bytes) => {
    const place = about(index, bytes);
    const found = await proof.rootFrom(await leafHash(bytes), index);
    if (!same(found.root, head.root)) throw new NotVerified("inclusion", {}, place);
    return found.steps;
  };
  // The server says where keys were replaced; each replacement must be signed and in the tree.
  for (const index of replaced.filter((one) => one < head.size)) {
    const number = Math.floor(index / WIDTH);
    const bytes = (await log.entries(number, widthOf(0, number, head.size)))[index % WIDTH];
    await included(index, bytes);
    const entry = parseEntry(bytes);
    if ("log_key" in entry.body) key = await successor(key, entry, about(index, bytes));
  }
  await requireSignature(head, key);
  const bytes = bytesOf(shown);
  const place = about(sequence, bytes);
  const steps = await included(sequence, bytes);
  if (parseEntry(bytes).sequence !== sequence) throw new NotVerified("sequence", { told: "?" }, place);
  return { size: head.size, origin: head.origin, root: hex(head.root), steps, sequence };
}

self.addEventListener("message", async ({ data }) => {
  const tell = (done, size) => self.postMessage({ done, size });
  try {
    const report = data.what === "log" ? await verifyLog(data, tell) : await verifyEntry(data);
    self.postMessage({ verified: true, report });
  } catch (error) {
    const known = error instanceof NotVerified;
    const report = known ? error.report : { reason: "crash", facts: { message: String(error) }, entry: null };
    self.postMessage({ verified: false, report });
  }
});
