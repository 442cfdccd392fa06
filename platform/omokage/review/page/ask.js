// What is asked and said in a window of its own.

import { ago, count, decimal, dialog, h, key, name, visible } from "./dom.js";
import { read } from "./net.js";
import { picture, says } from "./tile.js";

export async function look(row) {
  const face = await read(`api/face/${row}`);
  const line = (word, value) => h("div", {}, h("dt", {}, word), h("dd", {}, value));
  const box = dialog("Face", h("div.look", {}, picture(row, visible(face.uri)), h("dl.figures", {},
    line("person", face.person ? h("a", { href: `#person/${face.person.code}`, onclick: () => box.close() }, name(face.person.name)) : "nobody"),
    face.now && line("goes to", name(face.now.name)), line("state", face.status), line("picture", h("bdi", {}, visible(face.uri))),
    line("size", `${decimal(face.side, 0)} px`), line("sharpness", decimal(face.sharpness)), line("exposure", decimal(face.exposure)),
    line("yaw, pitch, roll", [face.yaw, face.pitch, face.roll].map((each) => `${decimal(each, 0)}\u00b0`).join(", ")), line("detected", decimal(face.score)),
    face.decided && line("decided", [name(face.decided.who), `, ${ago(face.decided.at)}`]))));
}

export async function describe(element) {
  element.title = says(await read(`api/face/${element.dataset.row}`));
}

/** Ask for a person: one who is there, or a new name. */
export function choose(title) {
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
    const input = h("input", { type: "text", placeholder: "Name\u2026", autocomplete: "off", spellcheck: false, ariaLabel: "Name", oninput: () => { looked = look(); } });
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

export function help() {
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
