// One view for each kind of finding: what is seen, what can be decided, and what is proposed.

import { choose } from "./ask.js";
import { count, decimal, h, name, number, visible } from "./dom.js";
import { picture, tile } from "./tile.js";

const KEYS_LEFT = ["1", "2", "3", "4", "5"], KEYS_RIGHT = ["6", "7", "8", "9", "0"];
const KEYS = [...KEYS_LEFT, ...KEYS_RIGHT];

export const TITLES = { people: "Two folders", outlier: "Outlier", mixed: "Mixed folder", same_face: "Same face", alike: "Alike" };

/** The rows of all pictures that a finding shows first. */
export function faces(item) {
  const rows = [];
  if (item.joined) for (const [a, b] of item.joined) rows.push(a, b);
  if (item.face) rows.push(item.face.row);
  for (const side of [item.a, item.b]) if (side?.faces) rows.push(...side.faces.slice(0, 24).map((face) => face.row));
  if (item.faces) rows.push(...item.faces.slice(0, 48).map((face) => face.row));
  for (const part of item.parts ?? []) rows.push(...part.faces.slice(0, 24).map((face) => face.row));
  return [...new Set(rows)];
}

export function view(item, page) {
  return { people, outlier, mixed, same_face: cluster, alike: cluster }[item.kind](item, page);
}

const who = (person) => h("a.person", { href: `#person/${person.code}`, title: `${visible(person.name)}: all faces (P)` },
  h("bdi", {}, visible(person.name)));

function goesBy(person) {
  return person.goes_by && h("span.goes", {}, "goes by ", name(person.goes_by.name));
}

function figures(pairs) {
  return h("dl.figures", {}, pairs.filter(Boolean).map(([word, value, title]) => h("div", { title: title ?? "" }, h("dt", {}, word), h("dd", {}, value))));
}

function sideHead(person, extra) {
  return h("header", {}, h("h2", {}, who(person)), h("p", {}, count(person.size, "face"), extra && ` \u00b7 ${extra}`, goesBy(person) && " \u00b7 ", goesBy(person)));
}

function rest(person, shown) {
  return person.size > shown && h("a.more", { href: `#person/${person.code}` }, `${number(person.size - shown)} more`);
}

function people(item, page) {
  const { a, b, figures: f } = item;
  const pick = (face) => page.toggle(face.row);
  const side = (person, keys, within, hits) => h("section.side", {},
    sideHead(person, `${number(hits)} match`),
    h("div.faces", {}, person.faces.map((face, i) => tile(face, { key: keys[i], on: pick, matching: face.near !== null && face.near !== undefined })),
      rest(person, person.faces.length)),
    within !== null && h("p.note", {}, `within the folder ${decimal(within)}`));
  const element = h("div.item.people", {},
    item.group.length > 0 && h("p.group", {}, `Proposed to be one person, ${item.group.length} folders: `,
      item.group.map((person, i) => [i > 0 && ", ", who(person)])),
    h("div.joined", {}, item.joined.map(([x, y, near]) => h("div.pair", {},
      picture(x), h("span.near", {}, decimal(near)), picture(y)))),
    figures([
      ["best", decimal(f.best), "highest similarity of a face here to a face there"],
      ["mean", decimal(f.mean), "mean similarity of the pairs that match"],
      ["share", `${decimal(f.share * 100, 0)} %`, "of all cross pairs that match"],
      ["across", decimal(f.cross), "mean similarity of all cross pairs"],
      ["matching pairs", number(f.hits)],
    ]),
    h("div.sides", {}, side(a, KEYS_LEFT, f.within_a, f.hit_faces_a), side(b, KEYS_RIGHT, f.within_b, f.hit_faces_b)));
  const stays = () => (page.stays === b.code ? [a, b] : [b, a]);
  const numbered = [...a.faces.slice(0, 5).map((face, i) => [KEYS_LEFT[i], face.row]), ...b.faces.slice(0, 5).map((face, i) => [KEYS_RIGHT[i], face.row])];
  return {
    element,
    numbered,
    bySide: new Map([...a.faces.map((face) => [face.row, a]), ...b.faces.map((face) => [face.row, b])]),
    persons: [a, b],
    actions: () => {
      const [goes, remains] = stays(), picked = page.picked.size;
      return [
        { id: "same", key: "S", label: ["Same person"], hint: [h("bdi", {}, visible(goes.name)), "\u2192", h("bdi", {}, visible(remains.name))], request: () => ({ stays: remains.code }), done: ["Merged ", name(goes.name), " into ", name(remains.name)] },
        { id: "swap", key: "W", label: ["Swap"], local: () => page.swap(a.code, b.code), minor: true },
        { id: "different", key: "D", label: ["Different"], hint: ["two people"], request: () => ({}), done: [name(a.name), " and ", name(b.name), " are different people"] },
        { id: "move", key: "M", label: picked ? [`Move ${picked}`] : ["Move"], hint: picked ? ["to the other"] : ["pick faces"], disabled: !picked, request: () => ({ picked: [...page.picked] }), done: [`Moved ${count(picked, "face")}`] },
        { id: "drop", key: "X", label: picked ? [`Drop ${picked}`] : ["Drop"], hint: picked ? ["from the set"] : ["pick faces"], disabled: !picked, request: () => ({ picked: [...page.picked] }), done: [`Dropped ${count(picked, "face")}`] },
        picked > 0 && { id: "move", as: "move-to", key: "R", label: ["Move to\u2026"], minor: true, ask: () => choose(`Move ${count(picked, "face")} to`).then((into) => into && { picked: [...page.picked], into: into.value, done: ["Moved to ", name(into.name)] }) },
      ].filter(Boolean);
    },
  };
}

function outlier(item, page) {
  const { face, a, b, figures: f } = item;
  const aside = (person, title, near, besides) => h("section.side", {}, h("p.over", {}, title), sideHead(person, near !== null && `similarity ${decimal(near)}`),
    h("div.faces", {}, person.faces.map((each) => tile(each)), rest(person, person.faces.length + besides),
      person.faces.length === 0 && h("p.none", {}, "No other face.")));
  const element = h("div.item.outlier", {},
    h("section.asked", {}, h("p.over", {}, "Does this face belong?"),
      tile(face, { size: "large" }),
      figures([
        ["own folder", decimal(f.own), "similarity to the rest of its folder"],
        f.other !== null && ["nearest other", decimal(f.other), "similarity to the nearest other person"],
        ["evidence", decimal(f.score, 1), "logarithm of the odds that it does not belong"],
        f.lof !== null && ["local factor", decimal(f.lof, 1), "local outlier factor within the folder"],
        ["size", `${decimal(face.side, 0)} px`], ["yaw", `${decimal(face.yaw, 0)}\u00b0`], ["sharpness", decimal(face.sharpness)],
      ])),
    h("div.sides", {}, aside(a, "Its folder, the most typical first", f.own, 1), b ? aside(b, "Nearest other person, the most alike first", f.other, 0) : h("section.side.none", {}, h("p.none", {}, "Like no other person."))));
  return {
    element,
    numbered: [],
    persons: [a, b].filter(Boolean),
    actions: () => [
      b && { id: "move", key: "M", label: ["Move"], hint: ["to", h("bdi", {}, visible(b.name))], request: () => ({ into: b.code }), done: ["Moved to ", name(b.name)] },
      { id: "drop", key: "X", label: ["Drop"], hint: ["from the set"], request: () => ({}), done: ["Dropped a face of ", name(a.name)] },
      { id: "keep", key: "K", label: ["Keep"], hint: ["belongs here"], request: () => ({}), done: ["Kept a face of ", name(a.name)] },
      { id: "move", as: "move-to", key: "R", label: ["Move to\u2026"], minor: true, ask: () => choose("Move this face to").then((into) => into && { into: into.value, done: ["Moved to ", name(into.name)] }) },
    ].filter(Boolean),
  };
}

function cluster(item, page) {
  const { a, faces: all } = item;
  const pick = (face) => page.toggle(face.row);
  const kinds = { best: "best", same_file: "same file", same_shot: "same shot", other_shot: "other photo", unknown: "unknown" };
  const [first, ...others] = all;
  const about = (face) => [
    face.kind !== "best" && h("p", {}, `similarity ${decimal(face.near, 3)}`, face.pixels !== null && ` \u00b7 pixels ${face.pixels > -1 ? decimal(face.pixels) : "differ"}`),
    h("p", {}, `${decimal(face.side, 0)} px \u00b7 sharp ${decimal(face.sharpness)} \u00b7 yaw ${decimal(face.yaw, 0)}\u00b0`),
  ];
  const shown = (face, i, size) => h("div.shot", { data: { row: String(face.row) } },
    tile(face, { size, key: KEYS[i], on: pick, tag: kinds[face.kind] ?? face.kind }), h("div.about", {}, about(face)));
  const element = h("div.item.cluster", {},
    h("section.asked", {}, h("p.over", {}, item.kind === "alike" ? "The best of these photos" : "The best of this shot"), first && shown(first, 0, "large")),
    h("section.side", {}, h("p.over", {}, item.kind === "alike" ? "Alike, and another photo" : "The same shot again"),
      h("div.shots", {}, others.map((face, i) => shown(face, i + 1, "middle")), item.count > all.length && h("span.more", {}, `${number(item.count - all.length)} more, judged with these`))));
  return {
    element,
    numbered: all.slice(0, 10).map((face, i) => [KEYS[i], face.row]),
    persons: [a],
    actions: () => {
      const picked = page.picked.size, some = picked > 0 && picked < item.count;
      return [
        { id: "drop", key: "X", label: picked ? [`Drop ${number(picked)}`] : ["Drop"], hint: some ? [`keep ${number(item.count - picked)}`] : picked ? ["one must stay"] : ["pick faces"], disabled: !some, request: () => ({ picked: [...page.picked] }), done: [`Dropped ${count(picked, "duplicate")} of `, name(a.name)] },
        { id: "keep", key: "K", label: [`Keep all ${number(item.count)}`], hint: ["all are wanted"], request: () => ({}), done: [`Kept ${count(item.count, "face")} of `, name(a.name)] },
      ];
    },
  };
}

function mixed(item, page) {
  const { a, parts } = item;
  const pick = (face) => page.toggle(face.row);
  const inputs = [];
  const element = h("div.item.mixed", {},
    item.loose > 0 && h("p.group", {}, `${count(item.loose, "face")} of the folder ${item.loose === 1 ? "is" : "are"} in none of the parts and stay${item.loose === 1 ? "s" : ""}.`),
    h("div.sides", {}, parts.map((part, i) => {
      const input = i === 0 ? null : h("input", { value: part.name, maxLength: 200, spellcheck: false, ariaLabel: "Name of this person" });
      if (input) inputs.push(input);
      return h("section.side", {},
        h("header", {}, h("h2", {}, input ?? who(a)), h("p", {}, count(part.count, "face"), i === 0 ? " \u00b7 keeps the name" : " \u00b7 new name",
          part.within !== null && ` \u00b7 within ${decimal(part.within)}`, part.between !== null && ` \u00b7 to the others ${decimal(part.between)}`)),
        h("div.faces", {}, part.faces.map((face) => tile(face, { on: pick })), part.count > part.faces.length && h("span.more", {}, `${number(part.count - part.faces.length)} more`)));
    })));
  return {
    element,
    numbered: [],
    persons: [a],
    actions: () => {
      const picked = page.picked.size;
      return [
        { id: "different", key: "D", label: [`Split into ${parts.length}`], hint: ["different people"], request: () => ({ names: inputs.map((input) => input.value) }), done: ["Split ", name(a.name)] },
        { id: "same", key: "S", label: ["Same person"], hint: ["keep together"], request: () => ({}), done: ["Kept ", name(a.name), " together"] },
        { id: "drop", key: "X", label: picked ? [`Drop ${picked}`] : ["Drop"], hint: picked ? ["from the set"] : ["pick faces"], disabled: !picked, request: () => ({ picked: [...page.picked] }), done: [`Dropped ${count(picked, "face")}`] },
      ];
    },
  };
}

