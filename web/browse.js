// Collections, their people, and a person's faces: looked through, added to, renamed, deleted.
import { adder } from "./add.js";
import { ask, at, collections } from "./api.js";
import { button, make } from "./dom.js";
import { link, showFaces, trail, unnamedOf } from "./person.js";
import { picture, shown } from "./photo.js";
import { t } from "./strings.js";
import { explained, troubleBox } from "./troubles.js";
import { notice } from "./undo.js";

const PEOPLE = 24;
/// How long after a letter the server is asked.
const TYPING_MS = 200;
const MODEL = "facenet-128";

/// Shows a collection (`rest[0]`), a person of it (`rest[1]`; the empty name stands for faces that
/// have none), or all collections.
export function showBrowse(root, rest) {
  const [collection, person] = rest;
  const body = make("section", { class: "browse" });
  root.append(body);
  const load = async () => {
    body.replaceChildren();
    try {
      if (collection && rest.length > 1) await showFaces(body, collection, person);
      else if (collection) await showPeople(body, collection);
      else await showCollections(body, load);
    } catch (trouble) {
      body.append(troubleBox(trouble, load));
    }
  };
  load();
}

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
  const find = make("input", { type: "search", id: "find", maxlength: 1024, oninput: () => {
    clearTimeout(typing);
    typing = setTimeout(() => turning([null]), TYPING_MS);
  } });
  const grid = make("ul", { class: "cards", id: "people" });
  const where = make("p", { class: "muted", role: "status" });
  const wrong = make("p", { class: "wrong", role: "alert" });
  const previous = button(t("previous"), () => turning(pages.slice(0, -1)));
  const next = button(t("next"), () => turning([...pages, following]));
  let typing = null;
  let asked = 0;
  /// The names that this page and those before it start with.
  let pages = [null];
  let following = null;
  const turn = async (wanted) => {
    const turned = (asked += 1);
    const params = new URLSearchParams({ limit: PEOPLE });
    if (find.value.trim()) params.set("search", find.value.trim());
    if (wanted.at(-1) !== null) params.set("offset", wanted.at(-1));
    const page = await ask("GET", at(collection, `/people?${params}`));
    // Whoever typed on has asked for something else meanwhile.
    if (turned !== asked) return;
    [pages, following] = [wanted, page.next_page_offset];
    previous.disabled = pages.length === 1;
    next.disabled = following === null;
    wrong.textContent = "";
    where.textContent = page.people.length > 0 ? t("page", pages.length) : t("noMatch");
    grid.replaceChildren(...page.people.map((it) => personCard(collection, it)));
  };
  const turning = async (wanted) => {
    try { await turn(wanted); } catch (trouble) { wrong.textContent = explained(trouble).join(". "); }
  };
  await turn(pages);
  body.append(trail(collection), make("h2", {}, collection),
    make("div", { class: "tools" }, make("label", {}, t("find"), find), adder(collection, "", () => turning(pages)),
      make("a", { class: "button quiet", href: unnamedOf(collection) }, t("facesUnnamed"))),
    make("ul", { class: "files", id: "files" }), wrong, grid, make("div", { class: "row" }, previous, where, next));
}

function personCard(collection, { name, faces, image, ignored }) {
  const about = make("div", { class: "about" }, make("h3", { class: "name" }, shown(name)), make("p", { class: "muted" }, t("facesIn", faces)),
    ignored ? make("p", { class: "muted" }, t("leftOut")) : null);
  return make("li", { class: "card" }, make("a", { href: link(collection, name) }, picture(image, name, ""), about));
}
