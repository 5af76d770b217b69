// The shell: which view is shown, its language, and files that come from anywhere on the page.
import { byId, make } from "./dom.js";
import { offered, showLook } from "./look.js";
import { language, switchLanguage, t } from "./strings.js";

/// What the address leads to; a view that is not the first is loaded when it is asked for.
const VIEWS = {
  "": ["look", async () => showLook],
  "collections": ["browse", async () => (await import("./browse.js")).showBrowse],
  "admin": ["console", async () => (await import("./console.js")).showConsole],
};

let leave = null;

async function show() {
  const [place, ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  const known = place in VIEWS ? place : "";
  const [title, load] = VIEWS[known];
  leave?.();
  leave = null;
  const main = byId("main");
  main.replaceChildren();
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.place === known) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `doppel · ${t(title)}`;
  const view = await load();
  leave = view(main, rest) ?? null;
}

function frame() {
  document.documentElement.lang = language;
  byId("slogan").textContent = t("slogan");
  byId("skip").textContent = t("skip");
  const links = Object.entries(VIEWS).map(([place, [title]]) => make("a", { href: `#/${place}`, "data-place": place }, t(title)));
  byId("views").replaceChildren(...links);
  byId("language").textContent = t("language");
  byId("language").lang = language === "ru" ? "en" : "ru";
  byId("language").addEventListener("click", switchLanguage);
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("main").focus();
  });
}

document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (files.length > 0) offered(files);
});
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dragging");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  offered([...event.dataTransfer.files]);
});
addEventListener("hashchange", async () => {
  await show();
  byId("main").focus();
});

frame();
show();
