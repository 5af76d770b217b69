// Photos added to a collection: several at once, each with its own progress and result.
import { at, patiently, send } from "./api.js";
import { byId, make } from "./dom.js";
import { prepared } from "./photo.js";
import { t } from "./strings.js";
import { explained } from "./troubles.js";

/// What chooses and sends them, one after the other. They are `person`'s if nobody says otherwise; `done`
/// is called when all have been answered.
export function adder(collection, person, done) {
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
    await done();
  });
  return make("div", { class: "tools" }, make("label", {}, t("whose"), whose), file, make("label", { for: "add", class: "button" }, t("add")));
}

async function added(collection, person, file, row) {
  const form = new FormData();
  form.append("image", await prepared(file), file.name);
  if (person) form.append("person", person);
  try {
    const progress = (part) => { row.textContent = `${Math.round(part * 100)} %`; };
    const waiting = (s) => { row.textContent = t("waiting", s); };
    const { faces } = await patiently(() => send(at(collection, "/faces?wait=true"), form, { progress }), waiting);
    return faces.some((face) => face.duplicate_of) ? t("duplicate") : t("added");
  } catch (refusal) {
    return explained(refusal).join(". ");
  }
}
