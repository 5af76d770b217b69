// Jobs of the server: begun, watched while they are at work, cancelled.
import { ask } from "./api.js";
import { announce, button, make } from "./dom.js";
import { cells, choice, doing, mib, panel, table } from "./panels.js";
import { number, t } from "./strings.js";
import { explained } from "./troubles.js";

const EVERY_MS = 1000;
/// Those that are shown, the newest first.
const MOST = 20;
/// What can be begun here, and how. Jobs that other programs begin are shown all the same.
const KINDS = {
  backup: (name) => [name ? `${of(name)}/jobs` : "/admin/jobs", { kind: "backup" }],
  reindex: (name) => [`${of(name)}/reindex`, {}],
  purge: (name) => [`${of(name)}/jobs`, { kind: "purge", backups: "keep" }],
  cluster: (name, threshold) => [`${of(name)}/cluster`, threshold ? { threshold: Number(threshold) } : {}],
};

const of = (name) => `/admin/collections/${encodeURIComponent(name)}`;
const word = (kind) => (kind in KINDS ? t(kind) : kind);

/// The panel, and what stops its looking; `ended` is called when a job has come to its end.
export function jobsPanel(described, ended) {
  const list = make("div");
  const name = choice("job-of", described, t("everything"));
  const kind = make("select", { id: "job-kind", onchange: fits }, ...Object.keys(KINDS).map((it) => make("option", { value: it }, t(it))));
  const threshold = make("input", { id: "threshold", type: "number", min: -1, max: 1, step: 0.01, placeholder: t("ofModel") });
  const near = make("label", { hidden: true }, t("nearness"), threshold);
  const begin = button(t("begin"), () => doing(begin, async () => {
    const [path, body] = KINDS[kind.value](name.value, threshold.value);
    const { id } = await ask("POST", path, body);
    running.add(id);
    await look();
  }), "button", { id: "begin" });
  const running = new Set();
  let timer = null;
  let stopped = false;
  function fits() {
    near.hidden = kind.value !== "cluster";
    const all = name.querySelector("[value='']");
    all.disabled = kind.value !== "backup";
    if (all.disabled && name.value === "" && described.length > 0) name.value = described[0].name;
  }
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
    const focused = document.activeElement?.dataset?.cancel;
    list.replaceChildren(rows.length > 0 ? table([t("job"), t("name"), t("state"), t("progress"), t("result"), ""], rows) : make("p", { class: "muted" }, t("noJobs")));
    if (focused) list.querySelector(`[data-cancel="${focused}"]`)?.focus();
  };
  fits();
  look();
  const tools = make("div", { class: "tools" }, make("label", {}, t("job"), kind), make("label", {}, t("name"), name), near, begin);
  const stop = () => {
    stopped = true;
    clearTimeout(timer);
  };
  return { panel: panel(t("jobs"), tools, list), stop };
}

function row(job, look) {
  const part = job.of > 0 ? job.done / job.of : undefined;
  const bar = make("progress", { max: 1, value: job.status === "completed" ? 1 : part, "aria-label": t("progress") });
  const told = job.of > 0 ? `${number(job.done)} / ${number(job.of)}` : "";
  const cancel = button(t("cancel"), () => doing(cancel, async () => {
    await ask("DELETE", `/admin/jobs/${job.id}`);
    await look();
  }), "link danger", { "data-cancel": job.id, "aria-label": `${t("cancel")}: ${word(job.kind)} ${job.id}` });
  const line = cells(`${job.id} · ${word(job.kind)}`, job.collection ?? t("everything"), t(job.status),
    make("span", { class: "part" }, bar, told), outcome(job), job.status === "running" ? cancel : `${number(job.seconds, 1)} ${t("seconds")}`);
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
  if (kind === "reindex") return t("rebuilt", result.points, mib(result.memory_bytes.after));
  if (kind === "cluster") return t("grouped", result.groups, result.faces);
  return JSON.stringify(result).slice(0, 120);
}
