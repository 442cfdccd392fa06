// The queue as columns, what is shown of it, and the findings fetched ahead.

import { bytes, chip, read } from "./net.js";

export const OPEN = 0, DECIDED = 1, SETTLED = 2;
const AHEAD = 4;
const TITLES_AT_ONCE = 100;
const ITEMS_HELD = 64;

export class Store {
  constructor(start) {
    this.start = start;
    this.line = start.line;
    this.version = start.version;
    this.folded = start.folded;
    this.filter = { kind: "all", state: "open", words: "", least: null };
    this.view = new Uint32Array(0);
    this.place = new Int32Array(0);  // of a finding in the view, -1 outside
    this.titles = new Map();
    this.asked = new Set();
    this.items = new Map();
    this.about = null;  // findings about the people searched for
  }

  async load() {
    const size = this.start.findings;
    const data = await bytes("api/queue");
    this.shown = new Float32Array(data, 0, size);
    this.kind = new Uint8Array(data, 4 * size, size);
    this.state = new Uint8Array(data, 5 * size, size);
    this.apply();
  }

  kindOf(n) { return this.start.kinds[this.kind[n]]; }

  async search(words) {
    this.filter.words = words;
    this.about = words.trim() ? new Uint32Array(await bytes(`api/with?q=${encodeURIComponent(words.trim())}`)) : null;
    if (this.filter.words === words) this.apply();
  }

  /** Put together what is shown; findings decided while it is shown stay in their place until the next time. */
  apply(keep = null) {
    const { kind, state, least } = this.filter;
    const wanted = this.start.kinds.indexOf(kind), alike = this.start.kinds.indexOf("alike");
    const size = this.start.findings;
    const from = this.about ?? null;
    const out = new Uint32Array(from ? from.length : size);
    let length = 0;
    for (let i = 0; i < out.length; i++) {
      const n = from ? from[i] : i;
      const fits = (wanted < 0 ? this.kind[n] !== alike : this.kind[n] === wanted) && (least === null || this.shown[n] >= least)
        && (state === "all" || (this.state[n] === OPEN) === (state === "open"));
      if (fits || n === keep) out[length++] = n;
    }
    this.view = out.slice(0, length);
    this.place = new Int32Array(size).fill(-1);
    for (let i = 0; i < length; i++) this.place[this.view[i]] = i;
  }

  /** Return how many findings of each kind there are, and how many of them are open. */
  counts() {
    const all = Object.fromEntries(this.start.kinds.map((kind) => [kind, { all: 0, open: 0 }]));
    const list = this.start.kinds.map((kind) => all[kind]);
    for (let n = 0; n < this.kind.length; n++) {
      list[this.kind[n]].all++;
      if (this.state[n] === OPEN) list[this.kind[n]].open++;
    }
    const sum = { all: 0, open: 0 };
    for (const [kind, each] of Object.entries(all)) {
      if (kind !== "alike") { sum.all += each.all; sum.open += each.open; }
    }
    return { ...all, sum };
  }

  /** Return the range of what a kind's findings are shown with. */
  range(kind) {
    const wanted = this.start.kinds.indexOf(kind);
    let low = Infinity, high = -Infinity;
    for (let n = 0; n < this.kind.length; n++) {
      if (this.kind[n] !== wanted) continue;
      low = Math.min(low, this.shown[n]);
      high = Math.max(high, this.shown[n]);
    }
    return low < high ? [low, high] : null;
  }

  next(n, step = 1) {
    const at = this.place[n] ?? -1;
    if (at < 0) return this.view.length ? this.view[0] : null;
    const to = at + step;
    return to >= 0 && to < this.view.length ? this.view[to] : null;
  }

  /** Return the next open finding after one, from the beginning again at the end; null when all are decided. */
  nextOpen(n) {
    const at = n === null ? -1 : this.place[n] ?? -1;
    for (let i = 1; i <= this.view.length; i++) {
      const other = this.view[(at + i + this.view.length) % this.view.length];
      if (this.state[other] === OPEN && other !== n) return other;
    }
    return null;
  }

  item(n) {
    let promise = this.items.get(n);
    if (!promise) {
      promise = read(`api/item/${n}`);
      this.items.set(n, promise);
      promise.catch(() => this.items.delete(n));
      if (this.items.size > ITEMS_HELD) this.items.delete(this.items.keys().next().value);
    }
    return promise;
  }

  forget(n) { this.items.delete(n); }

  /** Fetch what comes next, with its pictures. */
  ahead(n, faces) {
    let next = n;
    for (let i = 0; i < AHEAD; i++) {
      next = this.filter.state === "open" ? this.nextOpen(next) : this.next(next);
      if (next === null || next === n) return;
      this.item(next).then((item) => faces(item).forEach(chip)).catch(() => {});
    }
  }

  title(n) { return this.titles.get(n); }

  /** Fetch the titles of a part of the view; call back when some are new. */
  async needTitles(first, last, then) {
    const missing = [];
    for (let i = Math.max(0, first); i < Math.min(last, this.view.length); i++) {
      const n = this.view[i];
      if (!this.titles.has(n) && !this.asked.has(n)) { missing.push(n); this.asked.add(n); }
    }
    for (let i = 0; i < missing.length; i += TITLES_AT_ONCE) {
      const some = missing.slice(i, i + TITLES_AT_ONCE);
      try {
        for (const title of await read(`api/titles?n=${some.join(",")}`)) this.titles.set(title.n, title);
        then();
      } catch {
        some.forEach((n) => this.asked.delete(n));
      }
    }
  }

  /** Ask what others decided; return the findings that changed and the new lines. */
  async poll() {
    const said = await read(`api/since/${this.version}/${this.line}`);
    const before = { line: this.line, folded: this.folded };
    this.line = said.line;
    this.version = said.version;
    this.folded = said.folded;
    if (said.all) {
      const place = this.view;
      await this.load();
      if (!place.length) this.apply();
      return { changed: null, lines: [], before };
    }
    for (const [n, state] of said.changed) {
      this.state[n] = state;
      this.forget(n);
    }
    return { changed: said.changed.map(([n]) => n), lines: said.lines, before };
  }
}
