// A person's page: every face, as it is after all decisions; only the rows of faces that can be seen exist.

import { choose, describe } from "./ask.js";
import { count, decimal, h, name, number, toast, visible } from "./dom.js";
import { read } from "./net.js";
import { WORDS } from "./list.js";
import { picture, tile } from "./tile.js";

const WIDE = 124, HIGH = 148, BEYOND = 3;
const STATUS = ["kept", "dropped", "duplicate"];

export class Person {
  constructor(page, code, scroller) {
    this.page = page;
    this.code = code;
    this.scroller = scroller;
    this.picked = new Set();
    this.order = "least";
    this.element = h("div.personal", {}, h("p.none", {}, "\u2026"));
    this.drawn = new Map();
    this.last = null;
    this.onscroll = () => this.draw();
    this.resized = new ResizeObserver(() => this.draw());
  }

  async load() {
    const said = await read(`api/person/${this.code}`);
    this.said = said;
    this.at = new Map(said.rows.map((row, i) => [row, i]));
    this.grid = h("div.grid");
    this.near = h("div.lookalikes", {}, h("p.none", {}, "\u2026"));
    this.element.replaceChildren(...[
      h("header.head", {},
        h("div", {}, h("p.over", {}, said.source ? "Person" : "New person"), h("h1", {}, name(said.name)),
          h("p.soft", {}, this.summary())),
        h("a.button", { href: "#" }, "Back ", h("kbd", {}, "Esc"))),
      said.findings.length > 0 && h("section", {}, h("h2", {}, "Found"), h("div.chips", {}, said.findings.map((each) => this.finding(each)))),
      said.source && h("section", {}, h("h2", {}, "Looks like"), this.near),
      h("section", {}, h("div.gridhead", {}, h("h2", {}, "Faces"), this.sorts()), this.grid,
        said.rows.length === 0 && h("p.none", {}, "No face goes by this name now.")),
      said.left.length > 0 && h("section", {}, h("h2", {}, "Moved away"), h("div.faces", {}, said.left.map((row) => tile({ row })))),
    ].filter(Boolean));
    this.sort();
    this.scroller.addEventListener("scroll", this.onscroll, { passive: true });
    this.resized.observe(this.scroller);
    this.draw();
    if (said.source) this.loadNear();
    return this;
  }

  close() {
    this.scroller.removeEventListener("scroll", this.onscroll);
    this.resized.disconnect();
  }

  summary() {
    const { counts, goes_by: by, merged } = this.said;
    return [count(counts.kept, "face"), counts.dropped > 0 && `, ${number(counts.dropped)} dropped`, counts.duplicate > 0 && `, ${count(counts.duplicate, "duplicate")}`,
      by && [" \u00b7 goes by ", h("a", { href: `#person/${by.code}` }, name(by.name))],
      merged.length > 0 && [" \u00b7 with ", merged.map((each, i) => [i > 0 && ", ", name(each.name)])]];
  }

  finding(each) {
    const state = this.page.store.state[each.n];
    return h(`button.chip.${this.page.store.kindOf(each.n)}`, { onclick: () => this.page.go(each.n), data: { state: String(state) } },
      h("i.dot", {}), WORDS[each.what] ?? each.what, each.names.length > 1 && [" ", h("bdi", {}, visible(each.names.find((word) => word !== this.said.name) ?? ""))], state ? " \u2713" : "");
  }

  async loadNear() {
    try {
      const people = await read(`api/near/${this.code}`);
      this.near.replaceChildren(...people.map((person) => h("a.near", { href: `#person/${person.code}`, title: visible(person.name) },
        picture(person.row), h("b", {}, decimal(person.near)), h("bdi", {}, visible(person.name)))));
      if (!people.length) this.near.replaceChildren(h("p.none", {}, "There is nobody else."));
    } catch (error) {
      this.near.replaceChildren(h("p.none", {}, error.message));
    }
  }

  sorts() {
    const choice = (id, words) => h("button", { ariaPressed: this.order === id ? "true" : "false", onclick: (event) => {
      this.order = id;
      for (const other of event.target.parentElement.children) other.ariaPressed = "false";
      event.target.ariaPressed = "true";
      this.sort();
      this.draw(true);
    } }, words);
    return h("div.segments", {}, choice("least", "least typical first"), choice("most", "most typical first"), choice("status", "dropped first"));
  }

  sort() {
    const { rows, near, status } = this.said;
    const at = rows.map((_, i) => i);
    const like = (i) => near[i] ?? 2;
    if (this.order === "most") at.sort((i, j) => like(j) - like(i));
    if (this.order === "status") at.sort((i, j) => (status[j] > 0) - (status[i] > 0) || like(i) - like(j));
    this.shown = at;
  }

  draw(anew = false) {
    if (!this.shown) return;
    if (anew) { for (const each of this.drawn.values()) each.remove(); this.drawn.clear(); }
    const columns = Math.max(1, Math.floor(this.grid.clientWidth / WIDE));
    this.grid.style.height = `${Math.ceil(this.shown.length / columns) * HIGH}px`;
    const top = this.grid.getBoundingClientRect().top - this.scroller.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(-top / HIGH) - BEYOND) * columns;
    const last = Math.min(this.shown.length, (Math.ceil((this.scroller.clientHeight - top) / HIGH) + BEYOND) * columns);
    for (const [i, each] of this.drawn) if (i < first || i >= last) { each.remove(); this.drawn.delete(i); }
    for (let i = first; i < last; i++) {
      let each = this.drawn.get(i);
      if (!each) {
        each = this.tile(i);
        this.grid.append(each);
        this.drawn.set(i, each);
      }
      each.style.transform = `translate(${(i % columns) * WIDE}px, ${Math.floor(i / columns) * HIGH}px)`;
      each.classList.toggle("picked", this.picked.has(Number(each.dataset.row)));
    }
  }

  tile(i) {
    const at = this.shown[i], { rows, near, status } = this.said;
    const face = { row: rows[at], near: near[at], status: STATUS[status[at]] };
    const each = tile(face, { on: (_, event) => this.pick(i, event.shiftKey) });
    each.title = "";
    each.addEventListener("mouseenter", () => describe(each), { once: true });
    return each;
  }

  pick(i, range) {
    const row = (j) => this.said.rows[this.shown[j]];
    if (range && this.last !== null) {
      for (let j = Math.min(i, this.last); j <= Math.max(i, this.last); j++) this.picked.add(row(j));
    } else if (!this.picked.delete(row(i))) {
      this.picked.add(row(i));
    }
    this.last = i;
    this.draw();
    this.page.drawBar();
  }

  all() {
    if (this.picked.size === this.said.rows.length) this.picked.clear();
    else this.said.rows.forEach((row) => this.picked.add(row));
    this.draw();
    this.page.drawBar();
  }

  actions() {
    const many = this.picked.size, said = this.said;
    if (!said) return [];
    const request = (more = {}) => ({ person: this.code, picked: [...this.picked], ...more });
    const some = (word) => [many ? `${word} ${number(many)}` : word];
    return [
      { id: "drop", key: "X", label: some("Drop"), hint: many ? ["from the set"] : ["pick faces"], disabled: !many, request, done: [`Dropped ${count(many, "face")}`] },
      { id: "keep", key: "K", label: some("Keep"), hint: many ? ["or bring back"] : ["pick faces"], disabled: !many, request, done: [`Kept ${count(many, "face")}`] },
      { id: "move", key: "M", label: [many ? `Move ${number(many)} to\u2026` : "Move to\u2026"], hint: many ? ["another person"] : ["pick faces"], disabled: !many, ask: () => choose(`Move ${count(many, "face")} to`).then((into) => into && request({ into: into.value, done: ["Moved to ", name(into.name)] })) },
      { id: "same", key: "S", label: ["Merge into\u2026"], hint: ["whole person"], ask: () => choose(["Merge ", name(said.name), " into"]).then((into) => into && { person: this.code, into: into.value, done: ["Merged ", name(said.name), " into ", name(into.name)] }) },
      { id: "all", key: "A", label: ["Pick all"], minor: true, local: () => this.all() },
    ];
  }

  again() {
    const top = this.scroller.scrollTop;
    this.close();
    this.picked.clear();
    this.drawn.clear();
    return this.load().then(() => { this.scroller.scrollTop = top; }).catch((error) => toast(error.message, { kind: "error" }));
  }
}
