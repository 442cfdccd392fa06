// The list at the left: only the rows that can be seen exist.

import { decimal, h, number, visible } from "./dom.js";
import { DECIDED, OPEN } from "./store.js";

const ROW = 52;
const BEYOND = 8;
export const DIGITS = { people: 2, outlier: 1, mixed: 2, same_face: 3, alike: 3 };
export const WORDS = {
  same_person: "one person", stray_face: "stray face", unclear: "unclear", belongs_elsewhere: "belongs elsewhere",
  stranger: "stranger", undecided: "undecided", mixed: "several people", same_face: "same shot", alike: "alike, other photo",
};

export class List {
  constructor(store, onpick) {
    this.store = store;
    this.current = null;
    this.space = h("div.space");
    this.element = h("div.list", { role: "listbox", tabIndex: -1, ariaLabel: "Findings", onscroll: () => this.draw() }, this.space);
    this.element.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) onpick(Number(row.dataset.n));
    });
    this.rows = new Map();
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  draw() {
    const { view } = this.store;
    this.space.style.height = `${view.length * ROW}px`;
    this.element.classList.toggle("empty", view.length === 0);
    const first = Math.max(0, Math.floor(this.element.scrollTop / ROW) - BEYOND);
    const last = Math.min(view.length, Math.ceil((this.element.scrollTop + this.element.clientHeight) / ROW) + BEYOND);
    const wanted = new Set();
    for (let i = first; i < last; i++) wanted.add(view[i]);
    for (const [n, row] of this.rows) {
      if (!wanted.has(n)) { row.remove(); this.rows.delete(n); }
    }
    for (let i = first; i < last; i++) this.place(view[i], i);
    this.store.needTitles(first, last, () => this.draw());
  }

  place(n, i) {
    const title = this.store.title(n), state = this.store.state[n];
    const stamp = `${title ? 1 : 0}${state}${n === this.current ? 1 : 0}`;
    let row = this.rows.get(n);
    if (!row || row.dataset.stamp !== stamp) {
      const fresh = this.row(n, title, state);
      fresh.dataset.stamp = stamp;
      row ? row.replaceWith(fresh) : this.space.append(fresh);
      this.rows.set(n, fresh);
      row = fresh;
    }
    row.style.transform = `translateY(${i * ROW}px)`;
  }

  row(n, title, state) {
    const kind = this.store.kindOf(n), shown = this.store.shown[n];
    const names = title ? title.names.slice(0, kind === "people" ? 2 : 1).map((each) => h("bdi", {}, visible(each))) : [];
    const many = kind === "same_face" || kind === "alike" ? `${number(title?.count ?? 0)} faces` : "";
    const figure = decimal(shown, DIGITS[kind]);
    return h(`div.row.${kind}`, {
      role: "option", ariaSelected: n === this.current ? "true" : "false", data: { n: String(n), state: String(state) },
      title: title ? title.names.map(visible).join(" \u2013 ") : "",
    },
      h("i.dot"),
      h("div.names", {}, names.length === 2 ? [names[0], h("span.join", {}, "\u2013"), names[1]] : names),
      h("div.what", {}, title ? WORDS[title.what] ?? title.what : "\u00a0", many && ` \u00b7 ${many}`),
      h("div.figure", {}, state === OPEN ? figure : h("span.tick", { title: state === DECIDED ? "decided" : "settled by other decisions" }, state === DECIDED ? "\u2713" : "\u2248")));
  }

  select(n) {
    this.current = n;
    const at = n === null ? -1 : this.store.place[n];
    if (at >= 0) {
      const top = at * ROW, { scrollTop, clientHeight } = this.element;
      if (top < scrollTop + ROW || top > scrollTop + clientHeight - 2 * ROW) {
        this.element.scrollTop = Math.max(0, top - Math.floor(clientHeight / 3));
      }
    }
    this.draw();
  }
}
