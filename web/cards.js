// Look-alikes as cards: one a person, the person's other photos folded under it.
import { button, make } from "./dom.js";
import { picture, shown } from "./photo.js";
import { number, t } from "./strings.js";

/// One entry a person, at the place of the person's best photo.
export function folded(hits) {
  const people = new Map();
  for (const hit of hits) {
    const key = hit.person ? `person ${hit.person}` : `id ${hit.id}`;
    if (!people.has(key)) people.set(key, { name: hit.person, hits: [] });
    people.get(key).hits.push(hit);
  }
  return [...people.values()];
}

export const percent = (score) => Math.round(Math.max(0, Math.min(1, score)) * 100);

/// No face is more alike than all strangers there could be.
const rarity = (likeness) => (likeness > 99 ? number(Math.min(likeness, 99.99), 2) : number(likeness));

/// The score as a bar and a number, and what it means.
export function scoreLine(hit, model) {
  const alike = percent(hit.score);
  const meter = make("meter", { min: 0, max: 100, value: alike, "aria-hidden": "true" });
  const line = make("div", { class: "alike" }, meter, make("strong", {}, t("alike", alike)));
  const about = make("div", { title: t("raw", hit.score.toFixed(4), model) }, line);
  if (typeof hit.likeness === "number") about.append(make("p", { class: "rare" }, t("rarer", rarity(hit.likeness))));
  if (typeof hit.probability === "number") about.append(make("p", { class: "rare" }, t("same", number(100 * hit.probability, hit.probability < 0.01 ? 2 : 0))));
  return about;
}

/// A card; `like` and `compare` are called with the person's best hit.
export function card({ name, hits }, rank, { model, like, compare }) {
  const [best, ...others] = hits;
  const about = make("div", { class: "about" }, make("h3", { class: "name" }, shown(name)), scoreLine(best, model));
  if (others.length > 0) {
    const photos = others.map((hit) => make("figure", {}, picture(hit.image, name), make("figcaption", {}, `${percent(hit.score)} %`)));
    about.append(make("details", {}, make("summary", {}, t("morePhotos", others.length)), make("div", { class: "more" }, ...photos)));
  }
  about.append(make("div", { class: "actions" },
    button(t("like"), () => like(best), "link", { "aria-label": `${t("like")}: ${shown(name)}` }),
    compare ? button(t("compare"), () => compare(best), "link", { "aria-label": `${t("compare")}: ${shown(name)}` }) : null));
  const photo = picture(best.image, name, `${shown(name)}, ${t("alike", percent(best.score))}`);
  photo.append(make("span", { class: "rank", "aria-hidden": "true" }, String(rank + 1)));
  return make("li", { class: rank === 0 ? "card first" : "card" }, photo, about);
}
