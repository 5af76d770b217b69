// What can go wrong, in words for the person in front of it.
import { useKey } from "./api.js";
import { button, make } from "./dom.js";
import { t } from "./strings.js";

/// The title and the text of a refusal.
export function explained({ status, message, shortOf }) {
  if (status === 0) return navigator.onLine ? [t("silent"), t("silentTip")] : [t("offline"), t("offlineTip")];
  if (status === 401) return /this is not/.test(message) ? [t("wrongKey"), t("wrongKeyTip")] : [t("needsKey"), t("needsKeyTip")];
  if (status === 404) return [t("gone"), t("goneTip")];
  if (status === 409) return [t("otherModel"), message];
  if (status === 413) return [t("tooLarge"), message];
  if (status === 422 && /does not reach[^:]*min_face_size/.test(message)) return [t("tooSmall"), t("tooSmallTip")];
  if (status === 422 && /does not reach/.test(message)) return [t("failed"), message];
  if (status === 422 && /no face/i.test(message)) return [t("noFace"), t("noFaceTip")];
  if (status === 422 || status === 415) return [t("unreadable"), `${t("formats")} ${message}`];
  if (status === 429 || status === 503) return [t("busy"), message];
  if (status === 501) return [t("noModels"), message];
  if (status === 507) return [t(shortOf === "memory" ? "noMemory" : "readOnly"), message];
  return [t("failed"), message || String(status)];
}

/// A box that tells it, with a way out: another try, or the key.
export function troubleBox(trouble, again) {
  const [title, text] = explained(trouble);
  const box = make("div", { class: "trouble", role: "alert" }, make("h3", {}, title), make("p", {}, text));
  if (trouble.status === 501) box.append(make("code", {}, "doppel models install"));
  if (trouble.status === 401) box.append(keyForm(again));
  else if (again && trouble.status !== 422 && trouble.status !== 415) box.append(button(t("again"), again, "button"));
  return box;
}

function keyForm(again) {
  const input = make("input", { id: "key", type: "password", autocomplete: "off", required: true });
  const form = make("form", { class: "key" },
    make("label", { for: "key" }, t("keyLabel")),
    make("div", { class: "row" }, input, make("button", { class: "button", type: "submit" }, t("useKey"))));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    useKey(input.value);
    again();
  });
  requestAnimationFrame(() => input.focus());
  return form;
}
