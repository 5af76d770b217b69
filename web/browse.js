// Collections, their people, and a person's faces: looked through, added to, renamed, deleted.
import { ask, at, collections, imageOf, send } from "./api.js";
import { announce, button, byId, dialog, make } from "./dom.js";
import { picture, prepared, refused, shown } from "./photo.js";
import { t } from "./strings.js";
import { explained, troubleBox } from "./troubles.js";
import { notice, undoable } from "./undo.js";

const PEOPLE = 24;
const FACES = 48;
/// The server tells at most so many values of a key.
const MOST_PEOPLE = 10_000;
const MODEL = "facenet-128";

/// Shows a collection (`rest[0]`), a person of it (`rest[1]`), or all collections.
export function showBrowse(root, rest) {
  const [collection, person] = rest.filter((part) => part !== "");
  const body = make("section", { class: "browse" });
  root.append(body);
  const load = async () => {
    body.replaceChildren();
    try {
      if (person) await showPerson(body, collection, person);
      else if (collection) await showPeople(body, collection);
      else await showCollections(body, load);
    } catch (trouble) {
      body.append(troubleBox(trouble, load));
    }
  };
  load();
}

const link = (...parts) => `#/${["collections", ...parts].map(encodeURIComponent).join("/")}`;
const of = (person) => ({ must: [{ key: "person", match: { value: person } }] });
const trail = (collection, person) => make("p", { class: "muted" },
  make("a", { href: "#/collections" }, t("browse")), " / ",
  person ? make("a", { href: link(collection) }, collection) : collection);

async function showCollections(body, again) {
  const all = await collections();
  const name = make("input", { id: "new", required: true, maxlength: 255, pattern: "[A-Za-z0-9_\\-][A-Za-z0-9_.\\-]*" });
  const form = make("form", { class: "tools" }, make("label", {}, t("newCollection"), name), make("button", { class: "button", type: "submit" }, t("create")));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await ask("PUT", at(name.value), { embedder: MODEL });
      again();
    } catch (trouble) { notice(explained(trouble).join(". ")); }
  });
  const cards = all.map((it) => make("li", { class: "card" }, make("a", { href: link(it.name), class: "about" },
    make("h3", { class: "name" }, it.name), make("p", { class: "muted" }, t("facesIn", it.points_count)))));
  body.append(make("h2", {}, t("browse")), form, make("ul", { class: "cards" }, ...cards));
}

async function showPeople(body, collection) {
  const { hits } = await ask("POST", at(collection, "/facet"), { key: "person", limit: MOST_PEOPLE });
  const people = hits.sort((a, b) => a.value.localeCompare(b.value));
  const find = make("input", { type: "search", id: "find", oninput: () => turn(0) });
  const grid = make("ul", { class: "cards", id: "people" });
  const where = make("p", { class: "muted", role: "status" });
  const [previous, next] = [button(t("previous"), () => turn(page - 1)), button(t("next"), () => turn(page + 1))];
  let page = 0;
  const turn = (to) => {
    const wanted = find.value.trim().toLocaleLowerCase().replaceAll("_", " ");
    const matching = people.filter((it) => shown(it.value).toLocaleLowerCase().includes(wanted));
    const pages = Math.max(Math.ceil(matching.length / PEOPLE), 1);
    page = to;
    previous.disabled = page === 0;
    next.disabled = page + 1 >= pages;
    where.textContent = matching.length > 0 ? t("page", page + 1, pages) : t("noMatch");
    peopleCards(grid, collection, matching.slice(page * PEOPLE, (page + 1) * PEOPLE));
  };
  body.append(trail(collection), make("h2", {}, collection),
    make("div", { class: "tools" }, make("label", {}, t("find"), find), adder(collection, "")),
    make("ul", { class: "files", id: "files" }), grid, make("div", { class: "row" }, previous, where, next));
  turn(0);
}

/// A card for each, with the picture of one of the person's faces.
async function peopleCards(grid, collection, people) {
  const frames = people.map((it) => picture(null, it.value));
  grid.replaceChildren(...people.map((it, index) => make("li", { class: "card" }, make("a", { href: link(collection, it.value) }, frames[index],
    make("div", { class: "about" }, make("h3", { class: "name" }, shown(it.value)), make("p", { class: "muted" }, t("facesIn", it.count)))))));
  if (people.length === 0) return;
  const searches = people.map((it) => ({ filter: of(it.value), limit: 1 }));
  const answers = await ask("POST", at(collection, "/points/query/batch"), { searches });
  answers.forEach(({ points }, index) => {
    if (points.length > 0) frames[index].replaceWith(picture(imageOf(collection, points[0].id), people[index].value, ""));
  });
}

async function showPerson(body, collection, person) {
  const grid = make("ul", { class: "cards", id: "faces" });
  const more = button(t("moreFaces"), () => load());
  let offset;
  const load = async () => {
    const asked = { filter: of(person), limit: FACES, offset, with_payload: true };
    const { points, next_page_offset: next } = await ask("POST", at(collection, "/points/scroll"), asked);
    grid.append(...points.map((point) => faceCard(collection, point)));
    offset = next;
    more.hidden = next === null;
  };
  body.append(trail(collection, person), make("h2", {}, shown(person)),
    make("div", { class: "tools" }, adder(collection, person),
      button(t("renameOrMerge"), () => rename(collection, person)),
      button(t("removePerson"), () => removePerson(grid, collection, person))),
    make("ul", { class: "files", id: "files" }), grid, more);
  await load();
}

function faceCard(collection, { id, payload }) {
  const name = payload?.person;
  const about = make("div", { class: "about" }, make("p", { class: "muted" }, String(payload?.file ?? id)));
  const item = make("li", { class: "card" }, picture(imageOf(collection, id), name), about);
  about.append(make("div", { class: "actions" },
    button(t("edit"), () => editPayload(collection, id, payload, (saved) => { payload = saved; }), "link"),
    button(t("remove"), () => removeFace(item, collection, id, name), "link danger")));
  return item;
}

function removeFace(item, collection, id, name) {
  item.hidden = true;
  const path = at(collection, `/faces/${encodeURIComponent(id)}?wait=true`);
  undoable(t("removed", shown(name)), async (closing) => {
    await ask("DELETE", path, undefined, { keepalive: closing });
    item.remove();
  }, () => { item.hidden = false; });
}

function removePerson(grid, collection, person) {
  grid.hidden = true;
  const path = at(collection, `/faces?wait=true&person=${encodeURIComponent(person)}`);
  undoable(t("removed", shown(person)), async (closing) => {
    await ask("DELETE", path, undefined, { keepalive: closing });
    if (grid.isConnected) location.hash = link(collection);
  }, () => { grid.hidden = false; });
}

/// Another name; where somebody has it already, both become one person if that is wanted.
function rename(collection, person) {
  const known = make("datalist", { id: "known" });
  const name = make("input", { id: "name", value: person, required: true, maxlength: 1024, list: "known", oninput: () => { suggest(); settle(false); } });
  const said = make("p", { role: "alert" });
  const submit = make("button", { type: "submit", class: "button" }, t("save"));
  let merge = false;
  const settle = (taken) => {
    merge = taken;
    submit.textContent = t(taken ? "merge" : "save");
    said.textContent = taken ? t("taken", name.value) : "";
  };
  const suggest = async () => {
    try {
      const { people } = await ask("GET", at(collection, `/people?limit=8&search=${encodeURIComponent(name.value)}`));
      known.replaceChildren(...people.map((it) => make("option", { value: it.name })));
    } catch { /* a name can be typed all the same */ }
  };
  const form = make("form", { method: "dialog" }, make("label", { for: "name" }, t("name")), name, known, said, make("div", { class: "row" },
    button(t("cancel"), () => box.close()), submit));
  const box = dialog(t("renameOrMerge"), form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await ask("POST", at(collection, "/people/rename?wait=true"), { from: person, to: name.value, merge });
      box.close();
      location.hash = link(collection, name.value);
    } catch (trouble) {
      if (trouble.status === 409 && !merge) settle(true);
      else said.textContent = explained(trouble).join(". ");
    }
  });
}

function editPayload(collection, id, payload, saved) {
  const text = make("textarea", { id: "payload", value: JSON.stringify(payload ?? {}, null, 2), spellcheck: "false" });
  const wrong = make("p", { class: "wrong", role: "alert" });
  const save = async () => {
    try {
      const changed = object(text.value);
      await ask("PUT", at(collection, "/points/payload?wait=true"), { payload: changed, points: [id] });
      saved(changed);
      box.close();
      announce(t("save"));
    } catch (trouble) { wrong.textContent = trouble.message; }
  };
  const box = dialog(t("edit"), make("label", { for: "payload" }, t("payload")), text, wrong, make("div", { class: "row" },
    button(t("cancel"), () => box.close()), button(t("save"), save, "button")));
}

function object(text) {
  let value;
  try { value = JSON.parse(text); } catch (error) { throw new Error(t("notJson", error.message)); }
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw new Error(t("notJson", text.slice(0, 40)));
  return value;
}

/// Photos are sent one after the other, each with its own progress and result.
function adder(collection, person) {
  const whose = make("input", { id: "whose", value: person, maxlength: 1024 });
  const file = make("input", { id: "add", type: "file", multiple: true, accept: "image/*", class: "unseen" });
  file.addEventListener("change", async () => {
    const files = [...file.files];
    file.value = "";
    const rows = files.map((it) => {
      const result = make("span", { role: "status" }, "0 %");
      byId("files").append(make("li", {}, make("span", {}, it.name), result));
      return result;
    });
    for (const [index, it] of files.entries()) rows[index].textContent = await added(collection, whose.value, it, rows[index]);
  });
  return make("div", { class: "tools" }, make("label", {}, t("whose"), whose), file, make("label", { for: "add", class: "button" }, t("add")));
}

async function added(collection, person, file, row) {
  const trouble = refused(file);
  if (trouble) return explained(trouble).join(". ");
  const form = new FormData();
  form.append("image", await prepared(file), file.name);
  if (person) form.append("person", person);
  try {
    const progress = (part) => { row.textContent = `${Math.round(part * 100)} %`; };
    const { faces } = await send(at(collection, "/faces?wait=true"), form, { progress });
    return faces.some((face) => face.duplicate_of) ? t("duplicate") : t("added");
  } catch (refusal) {
    return explained(refusal).join(". ");
  }
}
