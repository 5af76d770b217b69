// Jobs of the server: begun, watched while they are at work, cancelled.
import { ask, at } from "./api.js";
import { announce, button, make } from "./dom.js";
import { giveUpButton } from "./moves.js";
import { cells, choice, doing, panel, sized, table } from "./panels.js";
import { KINDS } from "./settings.js";
import { number, t } from "./strings.js";
import { explained } from "./troubles.js";

const EVERY_MS = 1000;
/// Those that are shown, the newest first.
const MOST = 20;
const word = (kind) => (kind in KINDS ? t(kind) : kind);

/// The panel, and what stops its looking; `ended` is called when a job has come to its end.
export function jobsPanel(described, ended) {
  const list = make("div");
  const running = new Set();
  let timer = null;
  let stopped = false;
  const look = async () => {
    clearTimeout(timer);
    try {
      const { jobs } = await ask("GET", "/admin/jobs");
      show(jobs.reverse().slice(0, MOST));
    } catch (trouble) {
      list.replaceChildren(make("p", { class: "wrong" }, explained(trouble).join(". ")));
    }
    if (!stopped) timer = setTimeout(look, EVERY_MS);
  };
  const show = (jobs) => {
    for (const job of jobs.filter(({ id, status }) => running.has(id) && status !== "running")) {
      running.delete(job.id);
      announce(`${word(job.kind)}: ${t(job.status)}`);
      ended();
    }
    for (const job of jobs) if (job.status === "running") running.add(job.id);
    const rows = jobs.map((job) => row(job, look));
    const { cancel, giveUp } = document.activeElement?.dataset ?? {};
    list.replaceChildren(rows.length > 0 ? table([t("job"), t("name"), t("state"), t("progress"), t("result"), ""], rows) : make("p", { class: "muted" }, t("noJobs")));
    if (cancel) list.querySelector(`[data-cancel="${cancel}"]`)?.focus();
    if (giveUp) list.querySelector(`[data-give-up="${giveUp}"]`)?.focus();
  };
  look();
  const form = beginning(described, async (id) => {
    running.add(id);
    await look();
  });
  const stop = () => {
    stopped = true;
    clearTimeout(timer);
  };
  return { panel: panel(t("jobs"), form, list), stop };
}

/// What a job is to be, about what, and with which settings; `begun` gets the id of one that began.
function beginning(described, begun) {
  const name = choice("job-of", described, t("everything"), () => fits());
  const kind = make("select", { id: "job-kind", onchange: () => fits() }, ...Object.keys(KINDS).map((it) => make("option", { value: it }, t(it))));
  const settings = make("div", { class: "tools settings", id: "settings" });
  const begin = make("button", { id: "begin", type: "submit", class: "button" }, t("begin"));
  const said = make("p", { id: "refused", class: "wrong", role: "alert" });
  let request = null;
  let asked = 0;
  const fits = async () => {
    const all = name.querySelector("[value='']");
    all.disabled = kind.value !== "backup";
    if (all.disabled && name.value === "" && described.length > 0) name.value = described[0].name;
    said.textContent = "";
    request = null;
    begin.disabled = true;
    const turn = (asked += 1);
    try {
      // What it is now, not when the console was opened: jobs change it.
      const about = name.value ? { name: name.value, ...await ask("GET", at(name.value)) } : null;
      const form = await KINDS[kind.value](about, fits);
      if (turn !== asked) return;
      settings.replaceChildren(...form.fields.filter((it) => it !== null));
      request = form.request ?? null;
    } catch (trouble) {
      if (turn !== asked) return;
      settings.replaceChildren();
      said.textContent = told(trouble);
    }
    begin.disabled = request === null;
  };
  const form = make("form", {}, make("div", { class: "tools" }, make("label", {}, t("job"), kind), make("label", {}, t("name"), name)),
    settings, make("div", { class: "tools" }, begin), said);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    begin.disabled = true;
    said.textContent = "";
    try {
      const [path, body] = request();
      const { id } = await ask("POST", path, body);
      await begun(id);
    } catch (trouble) {
      said.textContent = told(trouble);
    }
    begin.disabled = false;
  });
  fits();
  return form;
}

/// What the server has against it, in its own words where it has some.
const told = (trouble) => (trouble.status >= 400 && trouble.status !== 401 && trouble.message ? trouble.message : explained(trouble).join(". "));

function row(job, look) {
  const part = job.of > 0 ? job.done / job.of : undefined;
  const bar = make("progress", { max: 1, value: job.status === "completed" ? 1 : part, "aria-label": t("progress") });
  const told = job.of > 0 ? `${number(job.done)} / ${number(job.of)}` : "";
  const cancel = button(t("cancel"), () => doing(cancel, async () => {
    await ask("DELETE", `/admin/jobs/${job.id}`);
    await look();
  }), "link danger", { "data-cancel": job.id, "aria-label": `${t("cancel")}: ${word(job.kind)} ${job.id}` });
  const giveUp = job.kind === "reembed" ? giveUpButton(job.collection, look, { "data-give-up": job.id }) : null;
  const line = cells(`${job.id} · ${word(job.kind)}`, job.collection ?? t("everything"), t(job.status),
    make("span", { class: "part" }, bar, told), outcome(job), job.status === "running" ? make("span", { class: "actions" }, cancel, giveUp) : `${number(job.seconds, 1)} ${t("seconds")}`);
  line.dataset.job = job.id;
  line.dataset.status = job.status;
  return line;
}

/// What came of it, in a few words.
function outcome({ kind, result, error }) {
  if (error) return make("span", { class: "wrong" }, error);
  if (!result) return "";
  if (kind === "backup") return result.name;
  if (kind === "purge") return t("purged", result.files_written.length, result.files_removed.length);
  if (kind === "reembed") return t("reembedded", result.embedded, result.vector) + (result.without_new_vector > 0 ? ` ${t("lacking", result.without_new_vector)}` : "");
  if (kind === "reindex") return t("rebuilt", result.points, sized(result.memory_bytes.after));
  if (kind === "cluster") return t("grouped", result.groups, result.faces);
  return JSON.stringify(result).slice(0, 120);
}
