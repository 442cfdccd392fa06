// The page: what is shown, what the keys do, and how decisions leave it.

import { look } from "./ask.js";
import { Book, sentence } from "./book.js";
import { h, name, number, toast } from "./dom.js";
import { bar, empty, head } from "./frame.js";
import { faces, view } from "./items.js";
import { pressed } from "./keys.js";
import { List } from "./list.js";
import { read, write } from "./net.js";
import { Person } from "./person.js";
import { Side } from "./side.js";
import { DECIDED, OPEN, Store } from "./store.js";
import { Theme } from "./theme.js";

const POLL = 2000;

class Page {
  constructor() {
    this.side = null;
    this.main = document.getElementById("main");
    this.bar = document.getElementById("bar");
    this.picked = new Set();
    this.stays = null;
    this.n = null;  // the finding that is shown, or was before a person's page
    this.item = null;
    this.shown = null;  // what its view gave
    this.drawn = null;  // the finding that is on the page, whose picks are kept when it is drawn anew
    this.person = null;
    this.book = null;
    this.pending = Promise.resolve();  // decisions leave one after the other
    this.waiting = 0;
    this.ours = new Set();
    this.theme = new Theme();
  }

  async begin() {
    const start = await read("api/start");
    history.replaceState(null, "", `/${location.hash}`);  // the key is in a cookie now
    this.store = new Store(start);
    document.title = `${start.dataset.split("/").filter(Boolean).at(-1) ?? ""} \u2013 omokage review`;
    await this.store.load();
    this.list = new List(this.store, (n) => this.go(n));
    this.side = new Side(this, start);
    addEventListener("beforeunload", (event) => this.waiting && event.preventDefault());
    addEventListener("click", (event) => event.detail && event.target.closest?.("button, input[type=range]")?.blur());  // Enter is for what is proposed
    addEventListener("hashchange", () => this.route());
    addEventListener("keydown", (event) => pressed(this, event));
    this.main.addEventListener("look", (event) => look(event.detail));
    setInterval(() => document.hidden || this.poll().catch(() => this.away()), POLL);
    document.addEventListener("visibilitychange", () => document.hidden || this.poll().catch(() => this.away()));
    await this.route();
  }

  // ---- where we are

  /** Show the first of what is in the list, unless what is shown is in it. */
  firstOf() {
    if (this.n !== null && this.store.place[this.n] >= 0) { this.list.select(this.n); this.drawHead(); return; }
    this.go(this.store.view.length ? this.store.view[0] : null);
  }

  to(hash) { if (location.hash === hash) this.route(); else location.hash = hash; }

  async route() {
    const [what, rest] = location.hash.slice(1).split(/\/(.*)/s);
    this.person?.close();
    this.person = this.book = null;
    document.body.dataset.view = what === "person" || what === "ledger" ? what : "finding";
    try {
      if (what === "person" && /^\d+$/.test(rest)) return await this.showPerson(Number(rest));
      if (what === "ledger") return await this.showBook();
      if (what === "f" && rest) {
        const { n } = await read(`api/where/${encodeURIComponent(decodeURIComponent(rest))}`);
        if (this.store.place[n] < 0) { this.store.apply(n); this.side.draw(); }
        return await this.show(n);
      }
    } catch (error) {
      this.failed(error);
      return;
    }
    await this.show(this.n ?? this.store.nextOpen(null) ?? this.store.view[0] ?? null);
  }

  async showPerson(code) {
    this.person = new Person(this, code, this.main);
    this.main.scrollTop = 0;
    this.main.replaceChildren(this.person.element);
    this.bar.replaceChildren();
    await this.person.load();
    this.drawBar();
  }

  async showBook() {
    this.book = new Book(this);
    this.main.scrollTop = 0;
    this.main.replaceChildren(this.book.element);
    this.bar.replaceChildren();
    await this.book.load();
  }

  go(n) {
    if (document.body.dataset.view !== "finding") {
      if (n !== null && this.store.place[n] < 0) { this.store.apply(n); this.side.draw(); }
      this.n = n;
      this.to("#");
      return;
    }
    this.show(n).catch((error) => this.failed(error));
  }

  async show(n) {
    this.n = n;
    this.list.select(n);
    if (this.item?.n !== n) this.item = null;  // until the next one is seen, no key judges
    if (n === null) { this.item = this.shown = null; this.drawDone(); return; }
    const slow = setTimeout(() => this.n === n && this.main.classList.add("waits"), 150);
    try {
      const item = await this.store.item(n);
      if (this.n !== n || document.body.dataset.view !== "finding") return;
      this.draw(item);
      this.store.ahead(n, faces);
    } finally {
      clearTimeout(slow);
      this.main.classList.remove("waits");
    }
  }

  draw(item) {
    const again = this.drawn === item.n;
    this.item = item;
    this.drawn = item.n;
    if (!again) {
      this.picked = new Set(item.state === OPEN ? item.pick ?? [] : []);
      this.stays = item.stays ?? null;
    }
    this.shown = view(item, this);
    this.head = h("header.head");
    this.main.replaceChildren(this.head, this.shown.element);
    if (!again) this.main.scrollTop = 0;
    history.replaceState(null, "", `#f/${item.id}`);
    this.drawHead();
    this.drawPicks();
    this.drawBar();
  }

  drawHead() {
    if (this.item && document.body.dataset.view === "finding") this.head.replaceChildren(...head(this));
  }

  drawDone() {
    history.replaceState(null, "", "/");
    this.main.replaceChildren(empty(this));
    this.bar.replaceChildren();
  }

  drawBar() { this.bar.replaceChildren(...bar(this)); }

  failed(error) {
    this.main.replaceChildren(h("div.done", {}, h("p.mark", {}, "!"), h("h1", {}, "This cannot be shown."), h("p.soft", {}, error.message)));
    this.bar.replaceChildren();
  }

  step(by) {
    const n = this.n === null ? this.store.view[0] ?? null : this.store.next(this.n, by);
    if (n !== null) this.go(n);
  }

  skip() {
    const n = this.store.nextOpen(this.n) ?? this.store.next(this.n);
    if (n === null) toast("This is the last one.", { seconds: 2 });
    else this.go(n);
  }

  // ---- picking and deciding

  toggle(row) {
    if (!this.picked.delete(row)) this.picked.add(row);
    this.drawPicks();
    this.drawBar();
  }

  swap(a, b) {
    this.stays = this.stays === a ? b : a;
    this.drawBar();
  }

  drawPicks() {
    for (const each of this.main.querySelectorAll(".face.picks")) each.classList.toggle("picked", this.picked.has(Number(each.dataset.row)));
  }

  actions() {
    if (document.body.dataset.view === "person") return this.person?.actions() ?? [];
    return document.body.dataset.view === "finding" && this.item ? this.shown.actions() : [];
  }

  /** Return what Enter does: what find proposes, until it is judged. */
  proposal() { return !this.person && this.item?.state === OPEN ? this.item.proposal : null; }

  async act(action) {
    if (action.disabled) return;
    if (action.local) { action.local(); return; }
    const asked = action.ask ? await action.ask() : {};
    if (!asked) return;
    const { done = action.done, ...more } = asked;
    this.decide({ action: action.id, ...action.request?.(), ...more }, done);
  }

  decide(request, done) {
    if (this.person) { this.send(request, null, done); return; }
    const { item, store } = this, n = item.n;
    store.state[n] = DECIDED;  // as far as the eye is concerned; the answer may say otherwise
    store.forget(n);
    this.send({ n, seen: item.decided?.number ?? 0, ...request }, n, done);
    this.side.draw();
    const next = store.nextOpen(n);
    if (next !== null) this.go(next);
    else if (store.filter.state === "open") this.go(null);
    else { this.item = null; this.pending.then(() => this.n === n && this.go(n)); }
  }

  /** Do something with the ledger after all that was asked for before. */
  queue(work) {
    this.waiting += 1;
    document.body.dataset.saving = String(this.waiting);
    this.pending = this.pending.then(work).catch((error) => toast(error.message, { kind: "error", seconds: 10 })).then(() => {
      this.waiting -= 1;
      if (this.waiting) document.body.dataset.saving = String(this.waiting);
      else delete document.body.dataset.saving;
      this.side.draw();
    });
  }

  send(request, n, done) {
    this.queue(async () => {
      const said = await write("api/decide", request).catch((error) => {
        if (n !== null) { this.store.state[n] = OPEN; this.store.forget(n); this.go(n); }
        throw error;
      });
      if (n !== null) {
        this.store.state[n] = said.status === 409 ? (said.seen ? DECIDED : OPEN) : said.state;
        this.store.forget(n);
      }
      if (said.status === 409) { this.taken(n, said.taken); return; }
      this.own(said.wrote);
      toast(done, { action: { label: "Undo", run: () => this.undo(said.wrote[0]) } });
      if (said.raced) this.taken(n, said.raced, true);
      if (this.person) { await this.poll(); await this.person.again(); this.drawBar(); }
    });
  }

  /** Say that somebody else decided what was judged here. */
  taken(n, line, both = false) {
    const words = line ? [name(line.who), " was faster: ", sentence(line), both ? ". Both are in the ledger; the newer one holds." : ". Nothing was written."] : ["Somebody took the decision back meanwhile. Nothing was written."];
    toast(words, { kind: "warn", seconds: 12, action: { label: "Show", run: () => this.go(n) } });
  }

  own(lines) { lines.forEach((line) => this.ours.add(line)); }

  undo(line = null) {
    this.queue(async () => {
      const said = await write("api/undo", line === null ? {} : { line });
      if (said.status === 409) { toast(line === null ? "There is nothing of yours to take back." : "That is taken back already."); return; }
      this.own(said.wrote);
      toast(["Taken back: ", sentence(said.undone)]);
      if (said.n !== null) {
        this.store.state[said.n] = said.state;
        this.store.forget(said.n);
        if (this.store.place[said.n] < 0) this.store.apply(said.n);
        this.drawn = null;
        if (document.body.dataset.view === "finding") await this.show(said.n);
      }
      if (this.person) { await this.poll(); await this.person.again(); this.drawBar(); }
      if (this.book) await this.book.load();
    });
  }

  // ---- what others do

  async poll() {
    const { changed, lines, before } = await this.store.poll();
    this.here();
    if (lines.length) {  // what was fetched ahead shows faces and names as they were before
      this.store.items.clear();
      if (this.item) this.store.ahead(this.n, faces);
    }
    const others = lines.filter((line) => line && !this.ours.has(line.number));
    if (!lines.length && this.store.folded === before.folded && changed?.length === 0) return;
    this.side.draw();
    if (others.length && !this.book) {
      const last = others.at(-1);
      toast(others.length > 1 ? [`${number(others.length)} new decisions, the last by `, name(last.who)] : [name(last.who), ": ", sentence(last)], { kind: "note" });
    }
    if (this.book && others.length) await this.book.load();
    const mine = this.item && (changed === null || changed.includes(this.item.n));
    if (document.body.dataset.view === "finding" && mine && this.n === this.item.n) {
      this.store.forget(this.n);
      this.draw(await this.store.item(this.n));
    }
  }

  away() {
    if (this.lost) return;
    this.lost = true;
    this.side.element.classList.add("lost");
    toast("The server does not answer. Is omokage review still running?", { kind: "error", seconds: 8 });
  }

  here() {
    this.lost = false;
    this.side.element.classList.remove("lost");
  }

}

new Page().begin().catch((error) => document.getElementById("main").replaceChildren(h("div.done", {}, h("p.mark", {}, "!"), h("h1", {}, error.message))));
