// The page: a photo in, look-alikes out. Names and payloads come from whoever filled the database,
// so everything is put in as text, never as markup. The photo leaves this tab only for the search.
"use strict";

const byId = (id) => document.getElementById(id);
const KEY = "doppel-api-key";
const LARGEST_SIDE = 2560;
const state = { file: null, url: null, answer: null, face: 0, running: null, timer: null };

// --- talking to the server

class Trouble extends Error {
  constructor(status, message, retryAfter) {
    super(message);
    Object.assign(this, { status, retryAfter });
  }
}

function headers() {
  const key = sessionStorage.getItem(KEY);
  return key ? { "api-key": key } : {};
}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: headers() });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble(0, "no answer");
  }
  const text = await response.text();
  let body = null;
  try { body = JSON.parse(text); } catch { /* a refused key is answered in plain text */ }
  if (response.ok && body) return body.result;
  const wait = Number(response.headers.get("retry-after")) || 1;
  throw new Trouble(response.status, body?.status?.error ?? text, wait);
}

// --- small builders

function make(tag, classes, ...children) {
  const element = document.createElement(tag);
  if (classes) element.className = classes;
  element.append(...children);
  return element;
}

function say(text) {
  byId("status").textContent = text;
}

function working(on) {
  document.body.classList.toggle("working", on);
  byId("main").setAttribute("aria-busy", String(on));
}

// --- what can go wrong, in words for the person in front of it

function explained({ status, message }) {
  if (status === 0) return ["The server does not answer", "Is it still running? Check your connection, then try again."];
  if (status === 401) return ["An API key is needed", message];
  if (status === 404) return ["This collection is gone", "Somebody has deleted it. Reload the page to see which ones there are."];
  if (status === 409) return ["These faces were made by another model", message];
  if (status === 413) return ["The photo is too large", message];
  if (status === 422 && /no face/i.test(message)) return ["No face found", "Try a photo in which the face is larger, lit from the front, and looks towards the camera."];
  if (status === 422 || status === 415) return ["This photo cannot be read", `JPEG, PNG, WebP, GIF, BMP and TIFF are understood. The server says: ${message}`];
  if (status === 429 || status === 503) return ["The server is busy", message];
  if (status === 501) return ["Face models are missing", message];
  return ["That did not work", message || `The server answered ${status}.`];
}

function complain(trouble, again) {
  const [title, text] = explained(trouble);
  const box = byId("trouble");
  box.replaceChildren(make("h3", "", title), make("p", "", text));
  if (trouble.status === 501) box.append(make("code", "", "doppel models install"));
  if (again && trouble.status !== 422 && trouble.status !== 401) {
    const button = make("button", "button", "Try again");
    button.type = "button";
    button.addEventListener("click", again);
    box.append(button);
  }
  byId("key-form").hidden = trouble.status !== 401;
  if (trouble.status === 401) byId("key").focus();
  box.hidden = false;
}

function noCollection() {
  const box = byId("trouble");
  box.replaceChildren(
    make("h3", "", "There are no faces here yet"),
    make("p", "", "Fill a collection with a folder of photos, one folder per person:"),
    make("code", "", `doppel import FOLDER --collection faces --url ${location.origin}`),
    make("p", "", "Then reload this page."),
  );
  box.hidden = false;
}

function clearTrouble() {
  clearTimeout(state.timer);
  byId("trouble").hidden = true;
  byId("key-form").hidden = true;
}

// Runs a task; while the server is busy it is tried again, each time a little later.
async function patiently(task, again, tries = 5) {
  try {
    return await task();
  } catch (trouble) {
    if (trouble.name === "AbortError") return undefined;
    const busy = trouble.status === 503 || trouble.status === 429;
    if (!busy || tries === 0) {
      working(false);
      say("");
      complain(trouble, again);
      return undefined;
    }
    say(/starting/.test(trouble.message) ? "The server is starting…" : "The server is busy, waiting for a turn…");
    const wait = Math.min(trouble.retryAfter * 2 ** (5 - tries), 15) * 1000;
    await new Promise((resolve) => { state.timer = setTimeout(resolve, wait); });
    return patiently(task, again, tries - 1);
  }
}

// --- collections

async function loadCollections() {
  clearTrouble();
  const listed = await patiently(() => ask("/collections"), loadCollections);
  if (!listed) return;
  say("");
  const usable = listed.collections.filter((collection) => collection.embedder);
  usable.sort((a, b) => b.points_count - a.points_count);
  const options = usable.map(({ name, points_count: count }) => {
    const option = make("option", "", `${name} (${count.toLocaleString()})`);
    option.value = name;
    return option;
  });
  byId("collection").replaceChildren(...options);
  byId("collection-field").hidden = usable.length === 0;
  if (usable.length === 0) noCollection();
  else if (state.file) search();
  else say("Choose a photo to begin.");
}

// --- the photo

// Photos of phones are turned upright and made smaller before they are sent; what the browser
// cannot read is left to the server to judge.
async function prepared(file) {
  try {
    const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = LARGEST_SIDE / Math.max(bitmap.width, bitmap.height);
    if (scale >= 1) return file;
    const canvas = make("canvas");
    canvas.width = Math.round(bitmap.width * scale);
    canvas.height = Math.round(bitmap.height * scale);
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
    return blob ?? file;
  } catch {
    return file;
  }
}

function take(file) {
  if (!file) return;
  clearTrouble();
  if (/\.hei[cf]$/i.test(file.name) || /hei[cf]/.test(file.type)) {
    complain(new Trouble(415, "HEIC is not understood; save the photo as JPEG first."));
    return;
  }
  if (state.url) URL.revokeObjectURL(state.url);
  Object.assign(state, { file, url: URL.createObjectURL(file), answer: null });
  byId("photo").src = state.url;
  byId("drop").hidden = true;
  byId("stage").hidden = false;
  byId("boxes").replaceChildren();
  byId("hint").textContent = "";
  byId("cards").replaceChildren();
  search();
}

async function search() {
  const collection = byId("collection").value;
  if (!state.file) return;
  if (!collection) { loadCollections(); return; }
  clearTrouble();
  state.running?.abort();
  const running = state.running = new AbortController();
  working(true);
  say("Looking at your photo…");
  const form = new FormData();
  form.append("image", await prepared(state.file), "photo");
  form.append("limit", byId("limit").value);
  const path = `/collections/${encodeURIComponent(collection)}/faces/search`;
  const send = () => ask(path, { method: "POST", body: form, signal: running.signal });
  const answer = await patiently(send, search);
  if (running !== state.running) return;
  if (!answer) { byId("cards").replaceChildren(); byId("boxes").replaceChildren(); return; }
  working(false);
  state.answer = answer;
  const areas = answer.faces.map((face) => face.box[2] * face.box[3]);
  showBoxes(areas.indexOf(Math.max(...areas)));
}

function showBoxes(chosen) {
  const { faces, width, height } = state.answer;
  const percent = (part, whole) => `${Math.min(Math.max(100 * part / whole, 0), 100)}%`;
  const boxes = faces.map((face, index) => {
    const [x, y, w, h] = face.box;
    const button = make("button", "box");
    button.type = "button";
    button.setAttribute("aria-label", `Face ${index + 1} of ${faces.length}`);
    const left = Math.max(x, 0);
    const top = Math.max(y, 0);
    button.style.left = percent(left, width);
    button.style.top = percent(top, height);
    button.style.width = percent(Math.min(x + w, width) - left, width);
    button.style.height = percent(Math.min(y + h, height) - top, height);
    if (faces.length > 1) button.append(make("span", "", String(index + 1)));
    button.addEventListener("click", () => choose(index));
    return button;
  });
  byId("boxes").replaceChildren(...boxes);
  byId("hint").textContent = faces.length === 1 ? "One face found" : `${faces.length} faces found: pick one`;
  choose(chosen);
}

// --- the answer

function choose(index) {
  state.face = index;
  [...byId("boxes").children].forEach((box, at) => box.setAttribute("aria-pressed", String(at === index)));
  const faces = state.answer.faces;
  const people = folded(faces[index].hits);
  byId("cards").replaceChildren(...people.map(card));
  const of = faces.length > 1 ? ` of face ${index + 1}` : "";
  byId("title").textContent = `Look-alikes${of}`;
  const best = people[0];
  say(best ? `${people.length} ${people.length === 1 ? "person" : "people"} found, best first.` : "Nobody in this collection yet.");
}

// One entry a person, at the place of the person's best photo.
function folded(hits) {
  const people = new Map();
  for (const hit of hits) {
    const key = hit.person === null ? `id ${hit.id}` : `person ${hit.person}`;
    if (!people.has(key)) people.set(key, { name: hit.person, hits: [] });
    people.get(key).hits.push(hit);
  }
  return [...people.values()];
}

const shown = (name) => (name === null ? "Unnamed" : name.replaceAll("_", " "));
const percentOf = (score) => Math.round(Math.max(0, Math.min(1, score)) * 100);

function card({ name, hits }, rank) {
  const [best, ...others] = hits;
  const alike = percentOf(best.score);
  const fill = make("i");
  fill.style.width = `${alike}%`;
  const bar = make("span", "bar", fill);
  bar.setAttribute("aria-hidden", "true");
  const line = make("div", "alike", bar, `${alike} % alike`);
  line.title = meaning(best);
  const about = make("div", "about", make("p", "name", shown(name)), line);
  if (others.length > 0) about.append(more(name, others));
  return make("li", rank === 0 ? "card first" : "card", picture(best, name), about);
}

// The raw cosine, and what it means where the model's cosines have been measured.
function meaning(hit) {
  const said = [`Cosine similarity ${hit.score.toFixed(4)}; 100 % is the same picture`];
  const answer = state.answer;
  if (typeof hit.likeness === "number") {
    const whom = answer.likeness_among === "collection" ? "people of this collection" : "strangers";
    said.push(`more alike than ${hit.likeness.toFixed(hit.likeness > 99 ? 3 : 1)} % of pairs of ${whom}`);
  }
  if (typeof hit.probability === "number") said.push(`the same person: ${(hit.probability * 100).toFixed(1)} %`);
  return `${said.join("; ")} (${answer.model})`;
}

function more(name, hits) {
  const photos = hits.map((hit) => make("figure", "", picture(hit, name), make("figcaption", "", `${percentOf(hit.score)} %`)));
  const label = hits.length === 1 ? "1 more photo" : `${hits.length} more photos`;
  return make("details", "", make("summary", "", label), make("div", "more", ...photos));
}

// The crop, or the first letters of the name where none is kept.
function picture(hit, name) {
  const frame = make("div", "picture");
  const letters = () => {
    const words = shown(name).split(/\s+/).slice(0, 2);
    frame.replaceChildren(words.map((word) => [...word][0] ?? "").join("").toUpperCase());
  };
  if (!hit.image) { letters(); return frame; }
  const image = make("img");
  image.alt = `${shown(name)}, ${percentOf(hit.score)} % alike`;
  image.loading = "lazy";
  image.addEventListener("error", letters);
  frame.append(image);
  // An <img> cannot show a key, so then the picture is fetched.
  if (sessionStorage.getItem(KEY)) fetched(hit.image, image, letters);
  else image.src = hit.image;
  return frame;
}

async function fetched(path, image, otherwise) {
  try {
    const response = await fetch(path, { headers: headers() });
    if (!response.ok) throw new Error(String(response.status));
    const url = URL.createObjectURL(await response.blob());
    image.addEventListener("load", () => URL.revokeObjectURL(url), { once: true });
    image.src = url;
  } catch {
    otherwise();
  }
}

// --- what people do

byId("file").addEventListener("change", (event) => {
  take(event.target.files[0]);
  event.target.value = "";
});
byId("collection").addEventListener("change", search);
byId("limit").addEventListener("change", search);
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, byId("key").value);
  byId("key").value = "";
  loadCollections();
});

document.addEventListener("paste", (event) => {
  const file = [...(event.clipboardData?.files ?? [])].find((item) => item.type.startsWith("image/"));
  if (file) take(file);
});
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dragging");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  take(event.dataTransfer.files[0]);
});
byId("photo").addEventListener("error", () => { byId("hint").textContent = "This browser cannot show the photo."; });

loadCollections();
