// The faces of a person, or those of nobody: looked through, given to another, described, deleted.
import { adder } from "./add.js";
import { ask, at, imageOf } from "./api.js";
import { announce, button, dialog, make } from "./dom.js";
import { doing } from "./panels.js";
import { picture, shown } from "./photo.js";
import { t } from "./strings.js";
import { explained } from "./troubles.js";
import { undoable } from "./undo.js";

const FACES = 48;

export const link = (...parts) => `#/${["collections", ...parts].map(encodeURIComponent).join("/")}`;
export const unnamedOf = (collection) => link(collection, "");
export const trail = (collection, person) => make("p", { class: "muted" },
  make("a", { href: "#/collections" }, t("browse")), " / ",
  person === undefined ? collection : make("a", { href: link(collection) }, collection));

const of = (person) => ({ must: [person === "" ? { is_empty: { key: "person" } } : { key: "person", match: { value: person } }] });

/// The faces of a person; those that are nobody's where the name is empty.
export async function showFaces(body, collection, person) {
  const grid = make("ul", { class: "cards", id: "faces" });
  const nobody = make("p", { class: "muted", role: "status" });
  const more = button(t("moreFaces"), () => doing(more, () => load(offset)));
  let offset;
  const counted = () => { nobody.textContent = grid.childElementCount > 0 ? "" : t("noFaces"); };
  const load = async (from) => {
    const asked = { filter: of(person), limit: FACES, offset: from, with_payload: true };
    const { points, next_page_offset: next } = await ask("POST", at(collection, "/points/scroll"), asked);
    if (from === undefined) grid.replaceChildren();
    grid.append(...points.map((point) => faceCard(collection, point, counted)));
    counted();
    offset = next;
    more.hidden = next === null;
  };
  const tools = make("div", { class: "tools" }, adder(collection, person, () => load()));
  if (person !== "") {
    const remove = button(t("removePerson"), () => removePerson(remove, grid, collection, person), "button quiet danger");
    tools.append(button(t("renameOrMerge"), () => rename(collection, person)), await ignoring(collection, person), remove);
  }
  body.append(trail(collection, person), make("h2", {}, person === "" ? t("facesUnnamed") : shown(person)), tools,
    make("ul", { class: "files", id: "files" }), nobody, grid, more);
  await load();
}

/// What leaves a person out of searches for look-alikes, or takes them in again.
async function ignoring(collection, person) {
  const { people } = await ask("GET", at(collection, `/people?${new URLSearchParams({ limit: 1, offset: person })}`));
  let ignored = people.some((it) => it.name === person && it.ignored);
  const press = button("", () => doing(press, async () => {
    ({ ignored } = await ask("PATCH", at(collection, "/people"), { name: person, ignored: !ignored }));
    settle();
    announce(t(ignored ? "leftOut" : "takenIn"));
  }));
  const settle = () => { press.textContent = t(ignored ? "takeIn" : "leaveOut"); };
  settle();
  return press;
}

/// A card; `left` is called when the face is not here any more.
function faceCard(collection, { id, payload }, left) {
  const name = payload?.person;
  const gone = () => {
    item.remove();
    left();
  };
  const path = at(collection, `/faces/${encodeURIComponent(id)}?wait=true`);
  const about = make("div", { class: "about" }, make("p", { class: "muted" }, String(payload?.file ?? id)));
  const item = make("li", { class: "card" }, picture(imageOf(collection, id), name), about);
  about.append(make("div", { class: "actions" },
    button(t("whoIsIt"), () => assign(collection, id, name, gone), "link"),
    button(t("edit"), () => editPayload(collection, id, payload, (saved) => {
      if (JSON.stringify(saved.person) !== JSON.stringify(name)) moved(saved.person, gone);
      payload = saved;
    }), "link"),
    button(t("remove"), () => removeFace(item, path, name, gone), "link danger")));
  return item;
}

function removeFace(item, path, name, gone) {
  item.hidden = true;
  undoable(t("removed", shown(name)), async (closing) => {
    await ask("DELETE", path, undefined, { keepalive: closing });
    gone();
  }, () => { item.hidden = false; });
}

/// Asks first what becomes of faces that are of others too, where there are such.
async function removePerson(control, grid, collection, person) {
  const several = { must: [...of(person).must, { key: "person", match: { except: [person] } }] };
  const counted = await doing(control, () => ask("POST", at(collection, "/points/count"), { filter: several }));
  if (counted === undefined) return;
  if (counted.count === 0) {
    removeTheirs(grid, collection, person, "keep");
    return;
  }
  control.focus();
  const choose = (ofSeveral) => {
    box.close();
    removeTheirs(grid, collection, person, ofSeveral);
  };
  const box = dialog(t("removePerson"), make("p", {}, t("ofSeveral", counted.count)), make("div", { class: "row" },
    button(t("cancel"), () => box.close()), button(t("keepShared"), () => choose("keep"), "button"),
    button(t("removeShared"), () => choose("delete"), "button quiet danger")));
}

function removeTheirs(grid, collection, person, ofSeveral) {
  grid.hidden = true;
  const path = at(collection, `/faces?wait=true&of_several=${ofSeveral}&person=${encodeURIComponent(person)}`);
  undoable(t("removed", shown(person)), async (closing) => {
    await ask("DELETE", path, undefined, { keepalive: closing });
    if (grid.isConnected) location.hash = link(collection);
  }, () => { grid.hidden = false; });
}

/// A field for a name, with the names that there are.
function nameField(collection, value, changed) {
  const known = make("datalist", { id: "known" });
  const suggest = async () => {
    try {
      const { people } = await ask("GET", at(collection, `/people?${new URLSearchParams({ limit: 8, search: name.value })}`));
      known.replaceChildren(...people.map((it) => make("option", { value: it.name })));
    } catch { /* a name can be typed all the same */ }
  };
  const name = make("input", { id: "name", value, maxlength: 1024, list: "known", oninput: () => { suggest(); changed(); } });
  return [name, known];
}

/// A dialog with a name in it; `save` gets it, and its dialog.
function naming(title, collection, value, { changed = () => {}, required, save }) {
  const [name, known] = nameField(collection, value, () => changed(name));
  name.required = required;
  const said = make("p", { role: "alert" });
  const submit = make("button", { type: "submit", class: "button" }, t("save"));
  const form = make("form", { method: "dialog" }, make("label", { for: "name" }, t("name")), name, known, said,
    make("div", { class: "row" }, button(t("cancel"), () => box.close()), submit));
  const box = dialog(title, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await save(name.value);
      box.close();
    } catch (trouble) { said.textContent = trouble.handled ?? explained(trouble).join(". "); }
  });
  return { name, said, submit };
}

/// Another name; where somebody has it already, both become one person if that is wanted.
function rename(collection, person) {
  let merge = false;
  const settle = (taken) => {
    merge = taken;
    form.submit.textContent = t(taken ? "merge" : "save");
    form.said.textContent = taken ? t("taken", form.name.value) : "";
  };
  const save = async (to) => {
    try {
      await ask("POST", at(collection, "/people/rename?wait=true"), { from: person, to, merge });
      location.hash = link(collection, to);
    } catch (trouble) {
      if (trouble.status !== 409 || merge) throw trouble;
      settle(true);
      throw Object.assign(trouble, { handled: t("taken", to) });
    }
  };
  const form = naming(t("renameOrMerge"), collection, person, { changed: () => settle(false), required: true, save });
}

/// Says whose a face is; nobody's where no name is left.
function assign(collection, id, person, gone) {
  // One of several people is not chosen for anybody.
  const own = typeof person === "string" ? person : "";
  const save = async (to) => {
    if (to === own) return;
    await ask("PATCH", at(collection, `/faces/${encodeURIComponent(id)}?wait=true`), { person: to === "" ? null : to });
    moved(to, gone);
  };
  naming(t("whoIsIt"), collection, own, { required: false, save });
}

/// A face is another's from now on, or nobody's.
function moved(to, gone) {
  gone();
  announce(t("movedTo", shown(to)));
}

// What is known of the person is on all of their faces, and is not edited on one: it goes with the name.
function editPayload(collection, id, payload, saved) {
  const { about_person: _, ...own } = payload ?? {};
  const text = make("textarea", { id: "payload", value: JSON.stringify(own, null, 2), spellcheck: "false" });
  const wrong = make("p", { class: "wrong", role: "alert" });
  const save = async () => {
    try {
      const changed = object(text.value);
      const gone = Object.keys(own).filter((key) => !(key in changed)).map((key) => [key, null]);
      const keys = { ...changed, ...Object.fromEntries(gone) };
      await ask("POST", at(collection, "/points/payload?wait=true"), { payload: keys, points: [id] });
      announce(t("save"));
      saved(changed);
      box.close();
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
