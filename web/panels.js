// What the console's parts are built of: panels, tables, and work that takes a while.
import { announce, make } from "./dom.js";
import { number, t } from "./strings.js";
import { explained } from "./troubles.js";
import { notice } from "./undo.js";

export const panel = (title, ...children) => make("section", { class: "panel", "aria-label": title }, make("h2", {}, title), ...children);

export const table = (heads, rows) => make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": heads[0] }, make("table", {},
  make("thead", {}, make("tr", {}, ...heads.map((it) => make("th", { scope: "col" }, it)))), make("tbody", {}, ...rows)));

export const cells = (...items) => make("tr", {}, ...items.map((it) => make("td", {}, it)));

/// A size in the unit that suits it.
export const sized = (bytes) => (bytes < 2 ** 20 ? `${number(bytes / 2 ** 10)} KiB` : `${number(bytes / 2 ** 20, 1)} MiB`);

/// Runs something that takes a while, says how it ended.
export async function doing(control, work) {
  control.disabled = true;
  announce(t("working"));
  try {
    return await work();
  } catch (trouble) {
    notice(explained(trouble).join(". "));
    return undefined;
  } finally {
    control.disabled = false;
  }
}

/// A choice of collections, under a label; `all` stands for all of them, where that can be.
export function choice(id, described, all, onchange) {
  const options = described.map(({ name }) => make("option", { value: name }, name));
  const none = all ? [make("option", { value: "" }, all)] : [];
  return make("select", { id, onchange }, ...options, ...none);
}
