// What the keys do.

import { help } from "./ask.js";

export function pressed(page, event) {
  if (document.querySelector("dialog[open]")) return;
  const typing = event.target.matches("input:not([type=range])");
  if (event.key === "Escape") {
    if (event.target === page.side.search) { event.target.value = ""; event.target.dispatchEvent(new Event("input")); }
    if (typing) event.target.blur();
    else if (document.body.dataset.view !== "finding") page.to("#");
    return;
  }
  if (typing) {
    if (event.target === page.side.search && event.key === "Enter") event.target.blur();
    return;
  }
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") { event.preventDefault(); page.undo(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input") && event.key.startsWith("Arrow")) return;
  if (common(page, event) || decisive(page, event)) event.preventDefault();
}

function common(page, event) {
  const finding = document.body.dataset.view === "finding";
  switch (event.key) {
    case "?": help(); return true;
    case "/": page.side.search.focus(); page.side.search.select(); return true;
    case "l": case "L": page.to(page.book ? "#" : "#ledger"); return true;
    case "t": case "T": page.theme.next(); return true;
    case "u": case "U": if (!event.repeat) page.undo(); return true;
    default:
  }
  if (!finding) return false;
  switch (event.key) {
    case "ArrowRight": case "ArrowDown": case "j": case "J": page.step(1); return true;
    case "ArrowLeft": case "ArrowUp": page.step(-1); return true;
    case " ": page.skip(); return true;
    case "p": case "P": {
      const person = page.item && page.shown.persons[event.shiftKey ? 1 : 0];
      if (person) page.to(`#person/${person.code}`);
      return true;
    }
    default: return false;
  }
}

function decisive(page, event) {
  if (event.repeat) return false;  // a key held down must not judge what nobody saw
  const actions = page.actions();
  if (event.key === "Enter") {
    if (event.target.matches("button, a, summary")) return false;
    const proposed = actions.find((action) => action.id === page.proposal() && !action.as);
    if (!proposed || proposed.disabled) return false;
    page.act(proposed);
    return true;
  }
  const numbered = document.body.dataset.view === "finding" && page.shown?.numbered.find(([label]) => label === event.key);
  if (numbered) { page.toggle(numbered[1]); return true; }
  const wanted = event.key === "Delete" || event.key === "Backspace" ? "X" : event.key.toUpperCase();
  const action = actions.find((each) => each.key === wanted);
  if (!action) return false;
  page.act(action);
  return true;
}
