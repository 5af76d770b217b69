// For the operator: live figures, collections and their state, jobs, backups, and a place to try
// requests. Only what the server has a route for is here.
import { ask, at, key, reach, useKey } from "./api.js";
import { backupsPanel } from "./backups.js";
import { button, make } from "./dom.js";
import { jobsPanel } from "./jobs.js";
import { cells, doing, panel, sized, table } from "./panels.js";
import { number, t } from "./strings.js";
import { troubleBox } from "./troubles.js";

const EVERY_MS = 2000;
const SAMPLES = 60;

/// Shows it; what is returned stops it.
export function showConsole(root) {
  const body = make("div", { class: "console" });
  root.append(body);
  let timer = null;
  let jobs = null;
  let gone = false;
  const load = async () => {
    body.replaceChildren();
    try {
      const all = await ask("GET", "/collections");
      const described = await Promise.all(all.collections.map(async ({ name }) => ({ name, ...await ask("GET", at(name)) })));
      if (gone) return;
      const live = charts();
      const backups = backupsPanel(described);
      jobs?.stop();
      jobs = jobsPanel(described, backups.load);
      body.append(live.panel, stateOf(described, load), jobs.panel, backups.panel, requests());
      clearInterval(timer);
      timer = setInterval(live.sample, EVERY_MS);
      live.sample();
    } catch (trouble) {
      body.append(troubleBox(trouble, load));
    }
  };
  load();
  return () => {
    gone = true;
    clearInterval(timer);
    jobs?.stop();
  };
}

function stateOf(described, again) {
  const rows = described.map((it) => {
    const recall = make("span", { role: "status" });
    const measure = button(t("measure"), () => doing(measure, async () => {
      const tuned = await ask("POST", at(it.name, "/tune"), { target_recall: 0.95 });
      recall.textContent = `${number(tuned.recall, 3)} (ef ${tuned.ef}, ${number(tuned.median_ms, 2)} ms) `;
    }), "link");
    return cells(it.name, number(it.points_count), sized(it.memory_bytes), it.status, make("span", {}, recall, measure));
  });
  const forget = button(t("forgetKey"), () => { useKey(""); again(); });
  return panel(t("browse"), table([t("name"), t("points"), t("memory"), t("state"), t("recall")], rows), key() ? forget : null);
}

/// The sum of all series of a metric whose labels hold `part`.
export function total(text, metric, part = "") {
  const lines = text.split("\n").filter((line) => line.startsWith(metric) && "{ ".includes(line[metric.length]) && line.includes(part));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}

function charts() {
  const http = "doppel_http_request_duration_seconds";
  const kinds = { requests: [], latency: [], inserts: [], queue: [] };
  const figures = Object.keys(kinds).map((kind) => chart(kind));
  let before = null;
  const sample = async () => {
    let text;
    try {
      const response = await reach("/metrics");
      if (!response.ok) return;
      text = await response.text();
    } catch { return; }
    const now = { at: performance.now(), count: total(text, `${http}_count`), sum: total(text, `${http}_sum`), writes: total(text, "doppel_writes_total", 'outcome="ok"') };
    if (before) {
      const seconds = (now.at - before.at) / 1000;
      const count = now.count - before.count;
      const values = [count / seconds, count > 0 ? 1000 * (now.sum - before.sum) / count : 0, (now.writes - before.writes) / seconds, total(text, "doppel_pipeline_queue_length")];
      figures.forEach((figure, index) => figure.push(Math.max(values[index], 0)));
    }
    before = now;
  };
  return { panel: panel(t("live"), make("div", { class: "charts" }, ...figures.map((it) => it.figure))), sample };
}

function chart(kind) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  svg.setAttribute("viewBox", `0 0 ${SAMPLES - 1} 100`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  svg.append(line);
  const value = make("strong", {}, "–");
  const values = [];
  const push = (latest) => {
    values.push(latest);
    if (values.length > SAMPLES) values.shift();
    const most = Math.max(...values, 1);
    line.setAttribute("points", values.map((it, index) => `${index},${98 - 96 * it / most}`).join(" "));
    value.textContent = number(latest, 1);
  };
  return { figure: make("figure", { class: "chart", "data-chart": kind }, make("figcaption", {}, t(kind)), value, svg), push };
}

function requests() {
  const method = make("select", { id: "method", "aria-label": t("request") }, ...["GET", "POST", "PUT", "PATCH", "DELETE"].map((it) => make("option", {}, it)));
  const path = make("input", { id: "path", value: "/collections", required: true, pattern: "/.*" });
  const body = make("textarea", { id: "body", spellcheck: "false" });
  const out = make("pre", { id: "answer", tabindex: "0", role: "region", "aria-label": t("answer"), "aria-live": "polite" });
  const submit = make("button", { type: "submit", class: "button" }, t("sendIt"));
  const form = make("form", {}, make("div", { class: "tools" }, make("label", { for: "path" }, t("request")), method, path, submit), make("label", { for: "body" }, t("body")), body);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    doing(submit, async () => {
      const sent = method.value === "GET" ? {} : { body: body.value || undefined, headers: { "content-type": "application/json" } };
      const response = await reach(path.value, { method: method.value, ...sent });
      const text = await response.text();
      let told = text;
      try { told = JSON.stringify(JSON.parse(text), null, 2); } catch { /* shown as it is */ }
      out.textContent = `${response.status}\n${told.slice(0, 20_000)}`;
    });
  });
  return panel(t("tryRest"), form, out, make("p", {}, make("a", { href: "/docs" }, t("docs")), " · ", make("a", { href: "/openapi.json" }, "/openapi.json")));
}
