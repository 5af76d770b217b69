// Look-alikes: a photo in, the faces in it, who looks like the chosen one.
import { ask, at, collections, imageOf, patiently, send, Trouble } from "./api.js";
import { card, folded } from "./cards.js";
import { announce, button, byId, make } from "./dom.js";
import { blobOf, cutOut, picture, prepared, shown } from "./photo.js";
import { t } from "./strings.js";
import { troubleBox } from "./troubles.js";
import { notice } from "./undo.js";

const KINDS = "image/jpeg,image/png,image/webp,image/gif,image/bmp,image/tiff,image/heic,image/heif,.heic,.heif";
const MOST_HITS = 200;
/// Shorter sides of a face, in pixels, tell too little.
const LEAST_FACE = 20;
const EXAMPLES = 6;

const state = { file: null, url: null, answer: null, face: 0, running: null, again: null };

/// Shows the view in `root`.
export function showLook(root) {
  const file = make("input", { id: "file", class: "unseen", type: "file", accept: KINDS, onchange: chosen });
  const stage = make("div", { id: "stage", class: "stage", hidden: true },
    make("figure", { class: "frame" }, make("img", { id: "photo", alt: t("yourPhoto") }),
      make("div", { id: "boxes", class: "boxes", role: "group", "aria-label": t("yourPhoto") })),
    make("div", { class: "row" }, make("span", { id: "hint", class: "muted" }), make("label", { class: "button quiet", for: "file" }, t("another"))));
  const drop = make("label", { id: "drop", class: "drop", for: "file" },
    make("img", { src: "/favicon.svg", alt: "", width: 72, height: 72 }),
    make("strong", {}, t("choose")), make("span", {}, t("orDrop")), make("small", {}, t("kinds")));
  const limit = make("select", { id: "limit", onchange: repeat }, ...[5, 10, 20, 50].map((it) => make("option", { selected: it === 10 }, String(it))));
  root.append(make("div", { class: "look" },
    make("section", { class: "panel ask", "aria-label": t("yourPhoto") }, file, drop, stage,
      make("div", { class: "row" }, button(t("useCamera"), () => apart(async () => (await import("./camera.js")).openCamera(take)), "button quiet", { id: "camera" })),
      make("div", { class: "fields" },
        make("label", {}, t("searchIn"), make("select", { id: "collection", onchange: changed })),
        make("label", {}, t("howMany"), limit)),
      make("p", { class: "promise" }, t("promise"))),
    make("section", { class: "answer", "aria-labelledby": "title" },
      make("div", { class: "row" }, make("h2", { id: "title", tabindex: "-1" }, t("look")), button(t("share"), () => apart(shared), "button", { id: "share", hidden: true })),
      make("p", { id: "status", class: "status", role: "status" }),
      make("progress", { id: "progress", max: 1, "aria-label": t("look"), hidden: true }),
      make("div", { id: "trouble" }), make("div", { id: "examples" }), make("ol", { id: "cards", class: "cards" }))));
  Object.assign(state, { file: null, answer: null, again: null });
  start();
  return () => {
    state.running?.abort();
    state.running = null;
  };
}

/// Whether this view is still shown: answers may come after it was left.
const here = () => byId("stage") !== null;
const say = (text) => { if (here()) byId("status").textContent = text; };
const collection = () => byId("collection").value;

function complain(trouble, again) {
  if (!here()) return;
  say("");
  byId("progress").hidden = true;
  byId("trouble").replaceChildren(troubleBox(trouble, again));
}

/// Parts that the first look does without are loaded when they are asked for.
async function apart(use) {
  try {
    await use();
  } catch (error) {
    complain(error instanceof TypeError ? new Trouble(0, "") : error);
  }
}

async function start() {
  byId("trouble").replaceChildren();
  try {
    const usable = await patiently(collections, (s) => say(t("waiting", s)));
    if (!here()) return;
    const options = usable.map(({ name, points_count: count }) => make("option", { value: name }, `${name} (${count})`));
    byId("collection").replaceChildren(...options);
    if (usable.length === 0 || usable[0].points_count === 0) { nothing(); return; }
    say(t("start"));
    await examples();
  } catch (trouble) {
    complain(trouble, start);
  }
}

function nothing() {
  byId("trouble").replaceChildren(make("div", { class: "trouble" }, make("h3", {}, t("empty")), make("p", {}, t("emptyTip")),
    make("code", {}, `doppel import FOLDER --collection faces --url ${location.origin}`)));
}

async function examples() {
  const body = { query: { sample: "random" }, limit: EXAMPLES, with_payload: true };
  const { points } = await ask("POST", at(collection(), "/points/query"), body);
  if (!here() || state.again) return;
  const faces = points.map((point) => {
    const hit = hitOf(point);
    return make("button", { type: "button", class: "example", "aria-label": shown(hit.person), onclick: () => like(hit) }, picture(hit.image, hit.person, ""));
  });
  byId("examples").replaceChildren(make("h3", {}, t("examples")), make("div", { class: "faces" }, ...faces));
}

const hitOf = ({ id, score, payload }) => ({ id, score, payload, person: payload?.person ?? null, image: imageOf(collection(), id) });

function changed() {
  if (state.file) search();
  else { state.again = null; reset(); examples().catch((trouble) => complain(trouble, changed)); }
}

function repeat() { state.again?.(); }

function chosen(event) {
  offered([...event.target.files]);
  event.target.value = "";
}

/// Files that were dropped, pasted or picked.
export function offered(files) {
  if (files.length > 1) notice(t("oneAtATime", files.length - 1));
  if (files.length > 0 && byId("stage")) take(files[0]);
}

function reset() {
  byId("trouble").replaceChildren();
  byId("cards").replaceChildren();
  byId("share").hidden = true;
}

function shows(url) {
  if (state.url) URL.revokeObjectURL(state.url);
  state.url = url;
  byId("photo").src = url;
  byId("drop").hidden = true;
  byId("stage").hidden = false;
  byId("boxes").replaceChildren();
  byId("hint").textContent = "";
  byId("examples").replaceChildren();
}

function take(file) {
  reset();
  Object.assign(state, { file, answer: null });
  shows(URL.createObjectURL(file));
  search();
}

/// Begins something that replaces whatever was under way.
function beginning(again) {
  state.running?.abort();
  state.running = new AbortController();
  state.again = again;
  reset();
  byId("progress").hidden = false;
  byId("progress").removeAttribute("value");
  return state.running;
}

async function search() {
  if (!collection()) { start(); return; }
  const running = beginning(search);
  const { signal } = running;
  try {
    const photo = await prepared(state.file);
    const wanted = Number(byId("limit").value);
    const waiting = (s) => say(t("waiting", s));
    const asked = (limit, group) => patiently(() => asking(photo, limit, group, signal), waiting, signal);
    const answer = await asked(Math.min(wanted * 5, MOST_HITS), false);
    const few = answer.faces.some(({ hits }) => hits.length >= wanted && folded(hits).length < wanted);
    if (few) merge(answer, await asked(wanted, true));
    await byId("photo")?.decode().catch(() => { /* shown without the photo then */ });
    if (running !== state.running) return;
    byId("progress").hidden = true;
    state.answer = answer;
    const areas = answer.faces.map((face) => face.box[2] * face.box[3]);
    showBoxes(areas.indexOf(Math.max(...areas)));
  } catch (trouble) {
    if (trouble.name !== "AbortError" && running === state.running) complain(trouble, search);
  }
}

function asking(photo, limit, group, signal) {
  const form = new FormData();
  form.append("image", photo, "photo");
  form.append("limit", limit);
  form.append("min_face_size", LEAST_FACE);
  if (group) form.append("group_by", "person");
  const progress = (part) => {
    if (!here()) return;
    byId("progress").value = part;
    say(t("uploading", Math.round(part * 100)));
    if (part < 1) return;
    byId("progress").removeAttribute("value");
    say(t("searching"));
  };
  return send(at(collection(), "/faces/search"), form, { signal, progress });
}

/// People whose photos did not make it among the best hits come after those that did.
function merge(answer, grouped) {
  answer.faces.forEach((face, index) => {
    const there = new Set(face.hits.map((hit) => hit.id));
    face.hits.push(...(grouped.faces[index]?.hits ?? []).filter((hit) => !there.has(hit.id)));
  });
}

function showBoxes(first) {
  const { faces, width, height } = state.answer;
  const boxes = faces.map((face, index) => {
    const [x, y, w, h] = face.box;
    const box = button(faces.length > 1 ? String(index + 1) : "", () => choose(index), "box", { "aria-label": t("faceOf", index + 1, faces.length) });
    const [left, top] = [Math.max(x, 0), Math.max(y, 0)];
    const place = { left: left / width, top: top / height, width: (Math.min(x + w, width) - left) / width, height: (Math.min(y + h, height) - top) / height };
    for (const [name, part] of Object.entries(place)) box.style[name] = `${100 * part}%`;
    return box;
  });
  byId("boxes").replaceChildren(...boxes);
  byId("hint").textContent = t("facesFound", faces.length);
  choose(first);
}

function choose(index) {
  state.face = index;
  [...byId("boxes").children].forEach((box, at) => box.setAttribute("aria-pressed", String(at === index)));
  const face = state.answer.faces[index];
  const cut = cutOut(byId("photo"), face, state.answer);
  const flaws = face.quality?.flaws ?? [];
  byId("trouble").replaceChildren();
  if (flaws.length > 0) byId("trouble").append(make("p", { class: "note" }, t("flaws", flaws.map((flaw) => t(flaw)).join(", "))));
  present(face.hits, state.answer.model, { cut, caption: t("yours") });
}

/// Puts the cards in. `mine` is the face they are compared with.
function present(hits, model, mine) {
  const people = folded(hits).slice(0, Number(byId("limit").value));
  const bests = people.map((person) => person.hits[0]);
  const compare = mine.cut && ((hit) => apart(async () => {
    const { openCompare } = await import("./compare.js");
    openCompare({ left: mine.cut, caption: mine.caption, hits: bests, start: bests.indexOf(hit), model });
  }));
  byId("cards").replaceChildren(...people.map((person, rank) => card(person, rank, { model, like, compare })));
  say(people.length > 0 ? t("people", people.length) : t("nobody"));
  state.best = { hit: bests[0], ...mine };
  byId("share").hidden = !(bests[0] && mine.cut);
}

/// The name of the vector that faces are found by; none where that has none, or the key does not
/// say.
async function vectorName(signal) {
  let vectors, config;
  try {
    ({ config } = await ask("GET", at(collection()), undefined, { signal }));
    ({ vectors } = config.params);
  } catch (trouble) {
    if (trouble.status === 403) return undefined;
    throw trouble;
  }
  if (typeof vectors.size === "number" || "" in vectors) return undefined;
  const moving = config.metadata?.reembedding?.from;
  return moving ?? Object.keys(vectors).find((name) => vectors[name].embedder);
}

/// Who looks like a face that is kept: found by its vector, without sending a picture.
async function like(hit) {
  const running = beginning(() => like(hit));
  const wanted = Number(byId("limit").value);
  const body = { query: hit.id, limit: Math.min(wanted * 5, MOST_HITS), with_payload: true };
  try {
    body.using = await vectorName(running.signal);
    const { points } = await ask("POST", at(collection(), "/points/query"), body, { signal: running.signal });
    const blob = await blobOf(hit.image);
    if (running !== state.running) return;
    state.file = null;
    shows(URL.createObjectURL(blob));
    await byId("photo").decode();
    byId("progress").hidden = true;
    byId("hint").textContent = shown(hit.person);
    const image = byId("photo");
    const whole = { box: [0, 0, image.naturalWidth, image.naturalHeight] };
    const cut = cutOut(image, whole, { width: image.naturalWidth, height: image.naturalHeight });
    present(points.map(hitOf), "", { cut, caption: shown(hit.person) });
    byId("title").focus();
  } catch (trouble) {
    if (trouble.name !== "AbortError" && running === state.running) complain(trouble, () => like(hit));
  }
}

async function shared() {
  const { cut, caption, hit } = state.best;
  const { drawn, share } = await import("./share.js");
  await share(await drawn(cut, caption, hit));
  announce(t("download"));
}
