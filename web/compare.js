// Two faces side by side, and how alike they are.
import { button, dialog, make } from "./dom.js";
import { picture, shown } from "./photo.js";
import { scoreLine } from "./cards.js";
import { t } from "./strings.js";

/// `left` is an element with a caption; `hits` can be gone through with the arrows.
export function openCompare({ left, caption, hits, start, model }) {
  const right = make("figure");
  const about = make("div", { "aria-live": "polite" });
  let now = start;
  const show = (step) => {
    now = (now + step + hits.length) % hits.length;
    const hit = hits[now];
    right.replaceChildren(picture(hit.image, hit.person), make("figcaption", {}, shown(hit.person)));
    about.replaceChildren(scoreLine(hit, model));
  };
  const previous = button("←", () => show(-1), "button quiet", { "aria-label": t("previous") });
  const next = button("→", () => show(1), "button quiet", { "aria-label": t("next") });
  const box = dialog(t("compare"),
    make("div", { class: "pair" }, make("figure", {}, left, make("figcaption", {}, caption)), right), about,
    make("div", { class: "row" }, previous, next, button(t("close"), () => box.close(), "button")));
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") show(-1);
    if (event.key === "ArrowRight") show(1);
  });
  show(0);
}
