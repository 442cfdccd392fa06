// A face as it is shown everywhere.

import { decimal, h, visible } from "./dom.js";
import { chip, now } from "./net.js";

export function picture(row, alt = "") {
  const image = h("img", { alt, draggable: false, decoding: "async" });
  const url = now(row);
  if (url) image.src = url;
  chip(row).then((loaded) => { if (!loaded) image.classList.add("none"); else if (!url) image.src = loaded.src; });
  return image;
}

export function says(face) {
  const lines = [
    visible(face.uri),
    `${decimal(face.side, 0)} px, sharpness ${decimal(face.sharpness)}, exposure ${decimal(face.exposure)}`,
    `yaw ${decimal(face.yaw, 0)}\u00b0, pitch ${decimal(face.pitch, 0)}\u00b0, roll ${decimal(face.roll, 0)}\u00b0, detected ${decimal(face.score)}`,
  ];
  if (face.near !== undefined && face.near !== null) lines.push(`similarity ${decimal(face.near, 3)}`);
  if (face.why) lines.push(face.why);
  return lines.join("\n");
}

/** A face with what is known of it; it can be picked, by click or by the key on it. */
export function tile(face, { size = "", key = null, mark = null, on = null, tag = null, matching = false } = {}) {
  const name = `figure.face${size && `.${size}`}${on ? ".picks" : ""}${matching ? ".matching" : ""}`;
  const element = h(name, {
    title: face.uri ? says(face) : null, data: { row: String(face.row), status: face.status ?? "kept" },
    onclick: on ? (event) => on(face, event) : null, ondblclick: () => element.dispatchEvent(new CustomEvent("look", { bubbles: true, detail: face.row })),
  },
    h("div.frame", {}, picture(face.row, visible(face.uri ?? "")),
      key && h("kbd", {}, key), tag && h("span.tag", {}, tag), mark && h("span.mark", {}, mark)),
    h("figcaption", {},
      h("b", {}, face.near === undefined || face.near === null ? "" : decimal(face.near)),
      h("span", {}, face.side === undefined ? "" : `${decimal(face.side, 0)} px`),
      stands(face)));
  return element;
}

function stands(face) {
  if (face.status && face.status !== "kept") return h("em", {}, face.status);
  return face.now ? h("em", {}, "\u2192 ", h("bdi", {}, visible(face.now.name))) : null;
}
