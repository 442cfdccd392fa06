// The side: how far the work is, what is shown of it, and whom one looks for.

import { help } from "./ask.js";
import { decimal, h, number, visible } from "./dom.js";
import { DIGITS } from "./list.js";
import { read } from "./net.js";

const KINDS = { all: "All", people: "People", mixed: "Mixed", outlier: "Outliers", same_face: "Same face", alike: "Alike" };
const LEAST = { people: "best similarity at least", outlier: "evidence at least", same_face: "similarity at least", alike: "similarity at least", mixed: "between at least" };

export class Side {
  constructor(page, start) {
    this.page = page;
    this.store = page.store;
    this.element = document.getElementById("side");
    const tool = (label, title, run) => h("button.icon", { onclick: run, title, ariaLabel: title }, label);
    this.progress = h("div.progress", {});
    this.kinds = h("div.kinds", { role: "group", ariaLabel: "Kind" });
    this.states = h("div.segments", { role: "group", ariaLabel: "State" });
    this.slider = h("div.slider");
    this.found = h("div.found");
    this.search = h("input", { type: "search", placeholder: "Person\u2026", ariaLabel: "Person", autocomplete: "off", spellcheck: false, oninput: () => this.searched(), onfocus: () => this.searched(), onblur: () => setTimeout(() => this.found.replaceChildren(), 200) });
    this.element.replaceChildren(
      h("header", {},
        h("img.logo", { src: "icon.svg", alt: "" }),
        h("div", {}, h("b", {}, "omokage"), h("p", { title: start.dataset }, visible(start.dataset.split("/").filter(Boolean).at(-1) ?? start.dataset))),
        tool("\u2630", "Ledger (L)", () => page.to("#ledger")), tool("\u25d0", "Colours (T)", () => page.theme.next()), tool("?", "Keys (?)", help)),
      this.progress,
      h("div.search", {}, this.search, h("kbd", {}, "/"), this.found),
      this.kinds, this.states, this.slider, page.list.element);
    this.draw();
  }

  draw() {
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
    this.page.list.draw();
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
    this.draw();
    this.page.list.element.scrollTop = 0;
    this.page.firstOf();
  }

  async searched() {
    const words = this.search.value;
    if (words !== this.store.filter.words) {
      await this.store.search(words);
      this.draw();
      this.page.firstOf();
    }
    if (!words.trim() || document.activeElement !== this.search) { this.found.replaceChildren(); return; }
    const people = await read(`api/people?q=${encodeURIComponent(words.trim())}`);
    if (this.search.value !== words) return;
    this.found.replaceChildren(...people.slice(0, 8).map((person) => h("a", { href: `#person/${person.code}`, onmousedown: (event) => { event.preventDefault(); this.page.to(`#person/${person.code}`); this.search.blur(); } },
      h("bdi", {}, visible(person.name)), h("small", {}, number(person.size)))));
    if (!people.length) this.found.replaceChildren(h("p.none", {}, "Nobody is called so."));
  }
}
