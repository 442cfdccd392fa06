// The ledger: who decided what, the newest first; every line can be taken back.

import { ago, count, h, name, toast } from "./dom.js";
import { read, write } from "./net.js";
import { picture } from "./tile.js";

/** What a line says, in words. */
export function sentence(line) {
  const many = typeof line.faces === "number" ? line.faces : (line.faces ?? []).length;
  const faces = count(many, "face");
  switch (line.do) {
    case "merge": return ["merged ", name(line.person), " into ", name(line.into)];
    case "different": return [name(line.person), " and ", name(line.into), " are different people"];
    case "relabel": return ["moved ", faces, " to ", name(line.into)];
    case "split": return ["split ", faces, " of ", name(line.person), " off as ", name(line.into)];
    case "drop_face": return ["dropped ", faces];
    case "drop_duplicate": return ["dropped ", count(many, "duplicate")];
    case "keep": return ["kept ", faces];
    case "undo": return [`took back line ${line.undoes}`];
    default: return [line.do];
  }
}

export class Book {
  constructor(page) {
    this.page = page;
    this.lines = h("ol.lines");
    this.more = h("button", { onclick: () => this.load(this.last) }, "Older lines");
    this.conflicts = h("div.conflicts");
    this.element = h("div.book", {},
      h("header.head", {}, h("div", {}, h("p.over", {}, "Ledger"), h("h1", {}, "What was decided")), h("a.button", { href: "#" }, "Back ", h("kbd", {}, "Esc"))),
      this.conflicts, this.lines, this.more);
    this.last = 0;
  }

  async load(before = 0) {
    const said = await read(`api/ledger/${before}`);
    if (!before) this.lines.replaceChildren();
    if (!before) this.say(said.conflicts);
    this.lines.append(...said.lines.map((line) => this.line(line)));
    this.last = said.lines.at(-1)?.number ?? 0;
    this.more.hidden = this.last <= 1;
    if (!this.lines.children.length) this.lines.append(h("p.none", {}, "Nothing is decided yet."));
  }

  say(conflicts) {
    this.conflicts.replaceChildren(...(conflicts.length ? [h("details", {}, h("summary", {}, count(conflicts.length, "contradiction"), ": the newer line holds"),
      h("ul", {}, conflicts.map(([, words]) => h("li", {}, words))))] : []));
  }

  line(line) {
    const undo = line.active && h("button.small", { onclick: () => this.undo(line) }, line.do === "undo" ? "Redo" : "Undo");
    return h(`li${line.active ? "" : ".undone"}`, { data: { line: String(line.number) } },
      h("span.number", {}, line.number),
      h("div.pictures", {}, line.rows.slice(0, 4).map((row) => picture(row))),
      h("div.said", {}, h("p", {}, sentence(line)),
        h("p.soft", {}, name(line.who), line.by === "rule" && " by rule", " \u00b7 ", h("time", { title: line.at }, ago(line.at)), !line.active && " \u00b7 taken back", line.why && [" \u00b7 ", line.why],
          line.queue >= 0 && [" \u00b7 ", h("a", { href: `#f/${line.finding}` }, "the finding")])),
      undo);
  }

  async undo(line) {
    try {
      const said = await write("api/undo", { line: line.number });
      if (said.status === 409) toast("Somebody took that back already.", { kind: "warn" });
      else this.page.own(said.wrote);
      await this.page.poll();
      await this.load();
    } catch (error) {
      toast(error.message, { kind: "error", seconds: 8 });
    }
  }
}
