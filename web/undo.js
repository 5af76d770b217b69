// Deleting that can be taken back: until the notice is gone nothing has been deleted at all. A tab
// that is closed meanwhile sends what was waiting.
import { announce, button, byId, make } from "./dom.js";
import { t } from "./strings.js";

const GRACE_MS = 8000;
const waiting = new Set();

/// A notice that goes by itself.
export function notice(text, ...more) {
  const box = make("div", { class: "notice" }, make("span", {}, text), ...more);
  byId("notices").append(box);
  if (more.length === 0) setTimeout(() => box.remove(), GRACE_MS);
  return box;
}

/// Runs `commit` (told whether the tab is closing) when nobody has taken it back with `restore`.
export function undoable(text, commit, restore) {
  const undo = button(t("undo"), () => {
    over();
    restore();
    announce(t("kept"));
  });
  const box = notice(text, undo);
  const run = async (closing) => {
    over();
    try {
      await commit(closing);
    } catch (trouble) {
      restore();
      notice(`${t("failed")}: ${trouble.message}`);
    }
  };
  const timer = setTimeout(() => run(false), GRACE_MS);
  const over = () => {
    clearTimeout(timer);
    waiting.delete(run);
    box.remove();
  };
  waiting.add(run);
  undo.focus();
}

addEventListener("pagehide", () => { for (const run of [...waiting]) run(true); });
