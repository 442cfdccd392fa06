// What stands around a finding: its head, the bar of actions, and what is said when none is left.

import { sentence } from "./book.js";
import { ago, h, key, name, number } from "./dom.js";
import { TITLES } from "./items.js";
import { WORDS } from "./list.js";
import { OPEN } from "./store.js";

/** Return what stands above the finding that is shown. */
export function head(page) {
  const { item, store, shown } = page, at = store.place[item.n], [first, second] = shown.persons;
  const names = item.kind === "people" || item.kind === "outlier" && second === undefined ? shown.persons : [first];
  const said = item.decided;
  return [
    h("div", {},
      h("p.over", {}, TITLES[item.kind], item.verdict && h(`span.verdict.${item.verdict}`, {}, WORDS[item.verdict] ?? item.verdict)),
      h("h1", {}, names.map((person, i) => [i > 0 && h("span.join", {}, " \u2013 "), name(person.name)])),
      item.reason && h("p.soft", {}, item.reason)),
    h("nav", {}, h("span.at", {}, at >= 0 ? `${number(at + 1)} / ${number(store.view.length)}` : ""),
      h("button.icon", { onclick: () => page.step(-1), title: "Previous (\u2190)", ariaLabel: "Previous" }, "\u2190"),
      h("button.icon", { onclick: () => page.step(1), title: "Next (\u2192)", ariaLabel: "Next" }, "\u2192")),
    said && h("p.decided", {}, h("span", {}, "\u2713 ", name(said.who), said.by === "rule" && " by rule", ": ", sentence(said), ", ", h("time", { title: said.at }, ago(said.at))),
      h("button.small", { onclick: () => page.undo(said.number) }, "Undo")),
    !said && item.state !== OPEN && h("p.decided", {}, h("span", {}, "\u2248 Settled: it follows from other decisions.")),
  ].filter(Boolean);
}

/** Return the buttons below what is shown. */
export function bar(page) {
  const proposal = page.proposal();
  const button = (action) => {
    const main = action.id === proposal && !action.disabled && !action.as;
    return h(`button.act.${action.as ?? action.id}${main ? ".main" : ""}${action.minor ? ".minor" : ""}`, { disabled: action.disabled, onclick: () => page.act(action) },
      h("span.label", {}, action.label, " ", key(action.key), main && key("\u21b5")), action.hint && h("small", {}, action.hint));
  };
  const small = (label, keys, run, title) => h("button.act.minor", { onclick: run, title }, h("span.label", {}, label, " ", key(keys)));
  return [h("div.acts", {}, page.actions().map(button)),
    h("div.acts", {}, !page.person && small("Skip", "Space", () => page.skip(), "Leave it open and go on"), small("Undo", "U", () => page.undo(), "Take back your last decision"))];
}

/** Return what is said where nothing is left to show. */
export function empty(page) {
  const { filter } = page.store, all = page.store.counts().sum;
  const everything = all.open === 0;
  return h("div.done", {},
    h("p.mark", {}, page.store.start.findings && filter.state === "open" ? "\u2713" : "\u2013"),
    h("h1", {}, page.store.start.findings === 0 ? "Nothing was found." : filter.state === "open" && filter.least === null && !filter.words ? "All judged." : "Nothing fits."),
    h("p.soft", {}, everything ? "Every decision is in the ledger; omokage apply makes the clean set." : "There are others: choose another kind, or show all."),
    h("p", {}, h("button", { onclick: () => page.side.filtered({ kind: "all", state: everything ? "all" : "open", least: null }) }, everything ? "Look at all again" : "Show all open"), " ", h("a.button", { href: "#ledger" }, "Ledger")));
}
