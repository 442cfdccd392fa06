// What goes over the wire. Pictures stay in this page's memory: the server forbids the browser to write them to disk.

async function answer(response) {
  const said = response.headers.get("content-type")?.startsWith("application/json") ? await response.json() : null;
  if (response.ok || response.status === 409) return { ...said, status: response.status };
  throw new Error(said?.error ?? (response.status === 403 ? "The server no longer knows this page. Start omokage review again." : `error ${response.status}`));
}

const lost = () => { throw new Error("The server does not answer. Is omokage review still running?"); };

export async function read(path) {
  const response = await fetch(path, { cache: "no-store" }).catch(lost);
  if (!response.ok) await answer(response);
  return response.json();
}

export async function bytes(path) {
  const response = await fetch(path, { cache: "no-store" }).catch(lost);
  if (!response.ok) await answer(response);
  return response.arrayBuffer();
}

export async function write(path, body) {
  return answer(await fetch(path, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
  }).catch(lost));
}

const HELD = 4000;  // pictures in memory, some 20 kB each
const AT_ONCE = 96;
const held = new Map();  // row -> promise of its picture, the oldest first
const ready = new Map();  // row -> the picture, loaded; while it is held, another one of its address is there at once
let wanted = [];
let planned = false;

function fetchWanted() {
  planned = false;
  const all = wanted;
  wanted = [];
  for (let start = 0; start < all.length; start += AT_ONCE) fetchSome(all.slice(start, start + AT_ONCE));
}

async function fetchSome(some) {
  try {
    const data = await bytes(`chips?n=${some.map((each) => each.row).join(",")}`);
    const lengths = new Uint32Array(data, 0, some.length);
    let at = lengths.byteLength;
    some.forEach((each, i) => {
      const chip = data.slice(at, at + lengths[i]);
      at += lengths[i];
      load(each, chip);
    });
  } catch {
    for (const each of some) { held.delete(each.row); each.resolve(null); }
  }
}

function load({ row, resolve }, chip) {
  if (!chip.byteLength) { resolve(null); return; }
  const image = new Image();
  image.onload = () => { ready.set(row, image.src); resolve(image); };
  image.onerror = () => resolve(null);
  image.src = URL.createObjectURL(new Blob([chip], { type: "image/jpeg" }));
}

/** Return the address of a picture that is here already. */
export const now = (row) => ready.get(row);

/** Return a promise of a picture; null where there is none. */
export function chip(row) {
  let promise = held.get(row);
  if (promise) {
    held.delete(row);
  } else {
    promise = new Promise((resolve) => wanted.push({ row, resolve }));
    if (!planned) { planned = true; queueMicrotask(fetchWanted); }
  }
  held.set(row, promise);
  if (held.size > HELD) {
    const [old, picture] = held.entries().next().value;
    held.delete(old);
    ready.delete(old);
    picture.then((image) => image && URL.revokeObjectURL(image.src));
  }
  return promise;
}
