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
const held = new Map();  // row -> promise of a blob's address, the oldest first
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
      each.resolve(chip.byteLength ? URL.createObjectURL(new Blob([chip], { type: "image/jpeg" })) : null);
    });
  } catch {
    for (const each of some) { held.delete(each.row); each.resolve(null); }
  }
}

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
    const [old, address] = held.entries().next().value;
    held.delete(old);
    address.then((url) => url && URL.revokeObjectURL(url));
  }
  return promise;
}
