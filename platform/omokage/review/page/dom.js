// Elements. Names come from folders of strangers: they only ever become text nodes, never markup.

export function h(tag, props = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "data") Object.assign(element.dataset, value);
    else if (key in element && key !== "list") element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// Control characters have pictures of their own; a name of only spaces would be no name at all.
export function visible(text) {
  const shown = text.replace(/[\u0000-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/[\u007f-\u009f]/g, "\ufffd");
  return shown.trim() ? shown : shown.replace(/ /g, "\u2423") || "(empty name)";
}

export function name(text) {
  return h("bdi.name", { title: visible(text) }, visible(text));
}

export const number = (value) => value.toLocaleString("en");

export function count(value, one, many = `${one}s`) {
  return `${number(value)} ${value === 1 ? one : many}`;
}

export function decimal(value, digits = 2) {
  if (value === null || value === undefined) return "\u2013";
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "\u2212");
}

export const key = (text) => h("kbd", {}, text);

export function ago(at) {
  const seconds = (Date.now() - Date.parse(at)) / 1000;
  if (!(seconds > 50)) return "just now";
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 129600 ? `${Math.round(seconds / 3600)} h ago` : at.slice(0, 10);
}

const toasts = document.getElementById("toasts");

export function toast(content, { kind = "plain", seconds = 4, action = null } = {}) {
  const box = h(`div.toast.${kind}`, {}, h("span", {}, content));
  const close = () => box.remove();
  if (action) box.append(h("button.small", { onclick: () => { close(); action.run(); } }, action.label));
  if (kind === "plain") toasts.querySelector(".plain")?.remove();  // what one did before is known
  toasts.append(box);
  while (toasts.children.length > 3) toasts.firstChild.remove();
  setTimeout(close, seconds * 1000);
  return close;
}

export function dialog(title, ...content) {
  const box = h("dialog", { onclose: () => box.remove() },
    h("header", {}, h("h2", {}, title), h("button.icon", { onclick: () => box.close(), title: "Close (Esc)" }, "\u00d7")),
    ...content);
  box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
  document.body.append(box);
  box.showModal();
  return box;
}
