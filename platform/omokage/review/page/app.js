// The page: what is shown, what the keys do, and how decisions leave it.

import { Book, sentence } from "./book.js";
import { ago, count, decimal, dialog, h, key, name, number, toast, visible } from "./dom.js";
import { faces, TITLES, view } from "./items.js";
import { DIGITS, List, WORDS } from "./list.js";
import { read, write } from "./net.js";
import { Person } from "./person.js";
import { DECIDED, OPEN, Store } from "./store.js";
import { picture, says } from "./tile.js";

const POLL = 2000;
const KINDS = { all: "All", people: "People", mixed: "Mixed", outlier: "Outliers", same_face: "Same face", alike: "Alike" };
const LEAST = { people: "best similarity at least", outlier: "evidence at least", same_face: "similarity at least", alike: "similarity at least", mixed: "between at least" };
const THEMES = ["auto", "light", "dark"];

class Page {
  constructor() {
    this.side = document.getElementById("side");
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
    this.theme(localStorage.getItem("omokage-theme") ?? "auto");
  }

  async begin() {
    const start = await read("api/start");
    history.replaceState(null, "", `/${location.hash}`);  // the key is in a cookie now
    this.store = new Store(start);
    document.title = `${start.dataset.split("/").filter(Boolean).at(-1) ?? ""} \u2013 omokage review`;
    await this.store.load();
    this.list = new List(this.store, (n) => this.go(n));
    this.drawSide(start);
    addEventListener("beforeunload", (event) => this.waiting && event.preventDefault());
    addEventListener("hashchange", () => this.route());
    addEventListener("keydown", (event) => this.key(event));
    this.main.addEventListener("look", (event) => this.look(event.detail));
    setInterval(() => document.hidden || this.poll().catch(() => this.away()), POLL);
    document.addEventListener("visibilitychange", () => document.hidden || this.poll().catch(() => this.away()));
    await this.route();
  }

  theme(which) {
    this.which = which;
    localStorage.setItem("omokage-theme", which);
    if (which === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = which;
  }

  nextTheme() {
    this.theme(THEMES[(THEMES.indexOf(this.which) + 1) % THEMES.length]);
    toast(`Colours: ${this.which}`, { seconds: 1.5 });
  }

  // ---- the side

  drawSide(start) {
    const tool = (label, title, run) => h("button.icon", { onclick: run, title, ariaLabel: title }, label);
    this.progress = h("div.progress", {});
    this.kinds = h("div.kinds", { role: "group", ariaLabel: "Kind" });
    this.states = h("div.segments", { role: "group", ariaLabel: "State" });
    this.slider = h("div.slider");
    this.found = h("div.found");
    this.search = h("input", { type: "search", placeholder: "Person\u2026", ariaLabel: "Person", autocomplete: "off", spellcheck: false, oninput: () => this.searched(), onfocus: () => this.searched(), onblur: () => setTimeout(() => this.found.replaceChildren(), 200) });
    this.side.replaceChildren(
      h("header", {},
        h("img.logo", { src: "icon.svg", alt: "" }),
        h("div", {}, h("b", {}, "omokage"), h("p", { title: start.dataset }, visible(start.dataset.split("/").filter(Boolean).at(-1) ?? start.dataset))),
        tool("\u2630", "Ledger (L)", () => this.to("#ledger")), tool("\u25d0", "Colours (T)", () => this.nextTheme()), tool("?", "Keys (?)", () => this.help())),
      this.progress,
      h("div.search", {}, this.search, h("kbd", {}, "/"), this.found),
      this.kinds, this.states, this.slider, this.list.element);
    this.drawFilters();
  }

  drawFilters() {
    const { filter } = this.store, counts = this.store.counts();
    const total = counts.sum, judged = total.all - total.open;
    const bar = h("i");
    bar.style.width = `${total.all ? (100 * judged) / total.all : 100}%`;
    this.progress.replaceChildren(h("p", {}, h("b", {}, number(judged)), ` of ${number(total.all)} judged`, h("span", {}, total.open ? `${number(total.open)} open` : "all done")), h("div.track", {}, bar));
    const kinds = ["all", ...this.store.start.kinds].filter((kind) => kind === "all" || counts[kind].all);
    this.kinds.replaceChildren(...kinds.map((kind) => h(`button.kind.${kind}`, {
      ariaPressed: filter.kind === kind ? "true" : "false", onclick: () => this.filtered({ kind, least: null }),
      title: kind === "alike" ? "Photos that are alike, of which none is proposed to go" : "",
    }, kind !== "all" && h("i.dot"), KINDS[kind], h("small", {}, number((kind === "all" ? counts.sum : counts[kind])[filter.state === "open" ? "open" : "all"])))));
    this.states.replaceChildren(...[["open", "Open"], ["decided", "Decided"], ["all", "All"]].map(([state, words]) => h("button", {
      ariaPressed: filter.state === state ? "true" : "false", onclick: () => this.filtered({ state }),
    }, words)));
    this.drawSlider();
    this.list.draw();
  }

  drawSlider() {
    const { filter } = this.store, range = filter.kind === "all" ? null : this.store.range(filter.kind);
    if (this.slider.dataset.kind === filter.kind && this.slider.children.length) return;
    this.slider.dataset.kind = filter.kind;
    this.slider.hidden = !range;
    if (!range) { this.slider.replaceChildren(); return; }
    const digits = DIGITS[filter.kind];
    const value = h("b", {}, decimal(filter.least ?? range[0], digits));
    const input = h("input", { type: "range", min: range[0], max: range[1], step: (range[1] - range[0]) / 200, value: filter.least ?? range[0], ariaLabel: LEAST[filter.kind], oninput: () => {
      const least = Number(input.value);
      value.textContent = decimal(least, digits);
      this.filtered({ least: least <= range[0] ? null : least - 1e-6 });
    } });
    this.slider.replaceChildren(h("label", {}, h("span", {}, LEAST[filter.kind], " ", value), input));
  }

  filtered(change) {
    Object.assign(this.store.filter, change);
    this.store.apply();
    this.drawFilters();
    this.list.element.scrollTop = 0;
    this.firstOf();
  }

  /** Show the first of what is in the list, unless what is shown is in it. */
  firstOf() {
    if (this.n !== null && this.store.place[this.n] >= 0) { this.list.select(this.n); this.drawHead(); return; }
    this.go(this.store.view.length ? this.store.view[0] : null);
  }

  async searched() {
    const words = this.search.value;
    if (words !== this.store.filter.words) {
      await this.store.search(words);
      this.drawFilters();
      this.firstOf();
    }
    if (!words.trim() || document.activeElement !== this.search) { this.found.replaceChildren(); return; }
    const people = await read(`api/people?q=${encodeURIComponent(words.trim())}`);
    if (this.search.value !== words) return;
    this.found.replaceChildren(...people.slice(0, 8).map((person) => h("a", { href: `#person/${person.code}`, onmousedown: (event) => { event.preventDefault(); this.to(`#person/${person.code}`); this.search.blur(); } },
      h("bdi", {}, visible(person.name)), h("small", {}, number(person.size)))));
    if (!people.length) this.found.replaceChildren(h("p.none", {}, "Nobody is called so."));
  }

  // ---- where we are

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
        if (this.store.place[n] < 0) { this.store.apply(n); this.drawFilters(); }
        return await this.show(n);
      }
    } catch (error) {
      this.failed(error);
      return;
    }
    const known = this.n !== null && this.store.place[this.n] >= 0;
    await this.show(known ? this.n : this.store.nextOpen(null) ?? this.store.view[0] ?? null);
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
    if (document.body.dataset.view !== "finding") { this.n = n; this.to("#"); return; }
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
    if (!this.item || document.body.dataset.view !== "finding") return;
    const { item, store } = this, at = store.place[item.n], [first, second] = this.shown.persons;
    const names = item.kind === "people" || item.kind === "outlier" && second === undefined ? this.shown.persons : [first];
    const said = item.decided;
    this.head.replaceChildren(...[
      h("div", {},
        h("p.over", {}, TITLES[item.kind], item.verdict && h(`span.verdict.${item.verdict}`, {}, WORDS[item.verdict] ?? item.verdict)),
        h("h1", {}, names.map((person, i) => [i > 0 && h("span.join", {}, " \u2013 "), name(person.name)])),
        item.reason && h("p.soft", {}, item.reason)),
      h("nav", {}, h("span.at", {}, at >= 0 ? `${number(at + 1)} / ${number(store.view.length)}` : ""),
        h("button.icon", { onclick: () => this.step(-1), title: "Previous (\u2190)", ariaLabel: "Previous" }, "\u2190"),
        h("button.icon", { onclick: () => this.step(1), title: "Next (\u2192)", ariaLabel: "Next" }, "\u2192")),
      said && h("p.decided", {}, h("span", {}, "\u2713 ", name(said.who), said.by === "rule" && " by rule", " ", sentence(said), ", ", h("time", { title: said.at }, ago(said.at))),
        h("button.small", { onclick: () => this.undo(said.number) }, "Undo")),
      !said && item.state !== OPEN && h("p.decided", {}, h("span", {}, "\u2248 Settled: it follows from other decisions.")),
    ].filter(Boolean));
  }

  drawDone() {
    const { filter } = this.store, all = this.store.counts().sum;
    const everything = all.open === 0;
    history.replaceState(null, "", "/");
    this.main.replaceChildren(h("div.done", {},
      h("p.mark", {}, this.store.start.findings && filter.state === "open" ? "\u2713" : "\u2013"),
      h("h1", {}, this.store.start.findings === 0 ? "Nothing was found." : filter.state === "open" && filter.least === null && !filter.words ? "All judged." : "Nothing fits."),
      h("p.soft", {}, everything ? "Every decision is in the ledger; omokage apply makes the clean set." : "There are others: choose another kind, or show all."),
      h("p", {}, h("button", { onclick: () => this.filtered({ kind: "all", state: everything ? "all" : "open", least: null }) }, everything ? "Look at all again" : "Show all open"), " ", h("a.button", { href: "#ledger" }, "Ledger"))));
    this.bar.replaceChildren();
  }

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

  drawBar() {
    const proposal = this.person ? null : this.item?.proposal;
    const button = (action) => {
      const main = action.id === proposal && !action.disabled && !action.as;
      return h(`button.act.${action.as ?? action.id}${main ? ".main" : ""}${action.minor ? ".minor" : ""}`, { disabled: action.disabled, onclick: () => this.act(action) },
        h("span.label", {}, action.label, " ", key(action.key), main && key("\u21b5")), action.hint && h("small", {}, action.hint));
    };
    const small = (label, keys, run, title) => h("button.act.minor", { onclick: run, title }, h("span.label", {}, label, " ", key(keys)));
    this.bar.replaceChildren(h("div.acts", {}, this.actions().map(button)),
      h("div.acts", {}, !this.person && small("Skip", "Space", () => this.skip(), "Leave it open and go on"), small("Undo", "U", () => this.undo(), "Take back your last decision")));
  }

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
    this.drawFilters();
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
      this.drawFilters();
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
    const others = lines.filter((line) => line && !this.ours.has(line.number));
    if (!lines.length && this.store.folded === before.folded && changed?.length === 0) return;
    this.drawFilters();
    if (others.length && !this.book) {
      const last = others.at(-1);
      toast(others.length > 1 ? [`${number(others.length)} new decisions, the last by `, name(last.who)] : [name(last.who), " ", sentence(last)], { kind: "note" });
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
    this.side.classList.add("lost");
    toast("The server does not answer. Is omokage review still running?", { kind: "error", seconds: 8 });
  }

  here() {
    this.lost = false;
    this.side.classList.remove("lost");
  }

  // ---- dialogs

  async look(row) {
    const face = await read(`api/face/${row}`);
    const line = (word, value) => h("div", {}, h("dt", {}, word), h("dd", {}, value));
    const box = dialog("Face", h("div.look", {}, picture(row, visible(face.uri)), h("dl.figures", {},
      line("person", face.person ? h("a", { href: `#person/${face.person.code}`, onclick: () => box.close() }, name(face.person.name)) : "nobody"),
      face.now && line("goes to", name(face.now.name)), line("state", face.status), line("picture", h("bdi", {}, visible(face.uri))),
      line("size", `${decimal(face.side, 0)} px`), line("sharpness", decimal(face.sharpness)), line("exposure", decimal(face.exposure)),
      line("yaw, pitch, roll", [face.yaw, face.pitch, face.roll].map((each) => `${decimal(each, 0)}\u00b0`).join(", ")), line("detected", decimal(face.score)),
      face.decided && line("decided", [name(face.decided.who), `, ${ago(face.decided.at)}`]))));
  }

  async describe(element) {
    element.title = says(await read(`api/face/${element.dataset.row}`));
  }

  /** Ask for a person: one who is there, or a new name. */
  choose(title) {
    return new Promise((resolve) => {
      const found = h("div.choices");
      let people = [], at = 0, answer = null, looked = Promise.resolve();
      const take = (value, label) => { answer = { value, name: label }; box.close(); };
      const draw = () => {
        const words = input.value.trim();
        const rows = people.slice(0, 9).map((person) => h("button", { onclick: () => take(person.code, person.name) }, h("bdi", {}, visible(person.name)), h("small", {}, count(person.size, "face"))));
        if (words && !people.some((person) => person.name === words)) rows.push(h("button.new", { onclick: () => take(words, words) }, "New person: ", h("bdi", {}, visible(words))));
        at = Math.min(at, Math.max(0, rows.length - 1));
        rows[at]?.classList.add("on");
        found.replaceChildren(...rows);
      };
      const input = h("input", { type: "search", placeholder: "Name\u2026", autocomplete: "off", spellcheck: false, ariaLabel: "Name", oninput: () => { looked = look(); } });
      const look = async () => {
        at = 0;
        const words = input.value.trim();
        const those = words ? await read(`api/people?q=${encodeURIComponent(words)}`) : [];
        if (input.value.trim() !== words) return;
        people = those;
        draw();
      };
      input.addEventListener("keydown", (event) => {
        if (event.key === "ArrowDown" || event.key === "ArrowUp") { at = Math.max(0, at + (event.key === "ArrowDown" ? 1 : -1)); draw(); event.preventDefault(); }
        if (event.key === "Enter") { looked.then(() => found.children[at]?.click()); event.preventDefault(); }
      });
      const box = dialog(title, h("div.choose", {}, input, found));
      box.addEventListener("close", () => resolve(answer));
      input.focus();
    });
  }

  help() {
    const line = (keys, words) => h("div", {}, h("dt", {}, keys.map((each) => [key(each), " "])), h("dd", {}, words));
    dialog("Keys", h("div.help", {},
      h("section", {}, h("h3", {}, "Decide"), h("dl", {},
        line(["\u21b5"], "what is proposed: the filled button"), line(["S"], "same person: merge, or keep together"), line(["W"], "the other name stays"), line(["D"], "different people: keep apart, or split"),
        line(["K"], "keep"), line(["X", "Del"], "drop: the face, or what is picked"), line(["M"], "move to the other person"), line(["R"], "move to anybody"), line(["U"], "take back your last decision"))),
      h("section", {}, h("h3", {}, "Pick and move"), h("dl", {},
        line(["1", "\u2026", "0"], "pick a face; a click does too"), line(["\u2190", "\u2192"], "previous, next; also \u2191 \u2193, J"), line(["Space"], "skip to the next open one"),
        line(["/"], "search a person"), line(["P"], "the person's page; shift for the second"), line(["L"], "ledger"), line(["T"], "colours"), line(["Esc"], "back"), line(["?"], "these keys"))),
      h("p.soft", {}, "A double click on a face shows all about it. Nothing of your pictures is touched here: decisions go to the ledger.")));
  }

  // ---- keys

  key(event) {
    if (document.querySelector("dialog[open]")) return;
    const typing = event.target.matches("input:not([type=range])");
    if (event.key === "Escape") {
      if (typing) { event.target.value = ""; event.target.dispatchEvent(new Event("input")); event.target.blur(); }
      else if (document.body.dataset.view !== "finding") this.to("#");
      return;
    }
    if (typing) {
      if (event.target === this.search && event.key === "Enter") event.target.blur();
      return;
    }
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") { event.preventDefault(); this.undo(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.common(event) || this.decisive(event)) event.preventDefault();
  }

  common(event) {
    const finding = document.body.dataset.view === "finding";
    switch (event.key) {
      case "?": this.help(); return true;
      case "/": this.search.focus(); this.search.select(); return true;
      case "l": case "L": this.to(this.book ? "#" : "#ledger"); return true;
      case "t": case "T": this.nextTheme(); return true;
      case "u": case "U": if (!event.repeat) this.undo(); return true;
      default:
    }
    if (!finding) return false;
    switch (event.key) {
      case "ArrowRight": case "ArrowDown": case "j": case "J": this.step(1); return true;
      case "ArrowLeft": case "ArrowUp": this.step(-1); return true;
      case " ": this.skip(); return true;
      case "p": case "P": {
        const person = this.item && this.shown.persons[event.shiftKey ? 1 : 0];
        if (person) this.to(`#person/${person.code}`);
        return true;
      }
      default: return false;
    }
  }

  decisive(event) {
    if (event.repeat) return false;  // a key held down must not judge what nobody saw
    const actions = this.actions();
    if (event.key === "Enter") {
      if (event.target.matches("button, a, summary")) return false;
      const proposed = actions.find((action) => action.id === this.item?.proposal && !action.as);
      if (!proposed || proposed.disabled || this.person) return false;
      this.act(proposed);
      return true;
    }
    const numbered = document.body.dataset.view === "finding" && this.shown?.numbered.find(([label]) => label === event.key);
    if (numbered) { this.toggle(numbered[1]); return true; }
    const wanted = event.key === "Delete" || event.key === "Backspace" ? "X" : event.key.toUpperCase();
    const action = actions.find((each) => each.key === wanted);
    if (!action) return false;
    this.act(action);
    return true;
  }
}

new Page().begin().catch((error) => document.getElementById("main").replaceChildren(h("div.done", {}, h("p.mark", {}, "!"), h("h1", {}, error.message))));
