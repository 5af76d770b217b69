// A move of a collection to another model, given up: what is at work is cancelled first, then its new
// vectors go.
import { ask } from "./api.js";
import { button, dialog, make } from "./dom.js";
import { t } from "./strings.js";
import { explained } from "./troubles.js";
import { notice } from "./undo.js";

const LOOK_MS = 200;

/// A button that asks before it does it; `after` is called when it is done.
export function giveUpButton(collection, after, more = {}) {
  return button(t("giveUp"), () => sure(collection, after), "link danger", { "aria-label": `${t("giveUp")}: ${collection}`, ...more });
}

function sure(collection, after) {
  const accept = make("input", { id: "lose-new", type: "checkbox" });
  const said = make("p", { class: "wrong", role: "alert" });
  const go = button(t("giveUp"), async () => {
    go.disabled = true;
    said.textContent = "";
    try {
      await giveUp(collection, accept.checked);
      box.close();
      notice(t("givenUp", collection));
      await after();
    } catch (trouble) {
      // The server says what is in the way.
      said.textContent = trouble.status === 409 ? trouble.message : explained(trouble).join(". ");
    }
    go.disabled = false;
  }, "button danger");
  const box = dialog(t("giveUp"), make("p", {}, t("giveUpSure", collection)), make("label", { class: "check" }, accept, t("loseNew")), said,
    make("div", { class: "row" }, button(t("cancel"), () => box.close()), go));
}

async function giveUp(collection, accept) {
  for (let first = true; await atWork(collection, first); first = false) await new Promise((resolve) => { setTimeout(resolve, LOOK_MS); });
  await ask("DELETE", `/admin/collections/${encodeURIComponent(collection)}/reembed${accept ? "?accept_missing=true" : ""}`);
}

/// Whether a job is moving the collection; it is told to end once.
async function atWork(collection, cancel) {
  const { jobs } = await ask("GET", "/admin/jobs");
  const own = jobs.find((it) => it.kind === "reembed" && it.collection === collection && it.status === "running");
  if (own && cancel) await ask("DELETE", `/admin/jobs/${own.id}`);
  return own !== undefined;
}
