// Backups on the server, of a collection or of everything: listed, downloaded, sent, restored,
// removed. They are made by a job.
import { ask, at, reach, send, Trouble } from "./api.js";
import { button, dialog, keep, make } from "./dom.js";
import { cells, choice, doing, panel, sized, table } from "./panels.js";
import { t } from "./strings.js";
import { notice, undoable } from "./undo.js";

/// The panel, and what loads its list anew.
export function backupsPanel(described) {
  const list = make("div");
  const of = choice("backup-of", described, t("everything"), () => doing(of, load));
  const path = (rest = "") => (of.value ? at(of.value, `/snapshots${rest}`) : `/snapshots${rest}`);
  const load = async () => {
    const all = await ask("GET", path());
    const rows = all.reverse().map((it) => row(it));
    list.replaceChildren(rows.length > 0 ? table([t("name"), t("made"), t("size"), ""], rows) : make("p", { class: "muted" }, t("noBackups")));
  };
  const row = ({ name, size, creation_time: made }) => {
    const one = path(`/${encodeURIComponent(name)}`);
    const get = button(t("download"), () => doing(get, async () => {
      const response = await reach(one);
      if (!response.ok) throw new Trouble(response.status, await response.text());
      keep(await response.blob(), name);
    }), "link");
    const back = button(t("restore"), () => sure(of.value, name, async () => {
      await ask("PUT", path("/recover?wait=true"), { location: name });
      notice(t("restored", name));
    }), "link");
    const remove = button(t("remove"), () => {
      line.hidden = true;
      undoable(t("removed", name), async (closing) => {
        await ask("DELETE", one, undefined, { keepalive: closing });
        line.remove();
      }, () => { line.hidden = false; });
    }, "link danger");
    const line = cells(name, made ? made.replace("T", " ") : "", sized(size), make("span", { class: "actions" }, get, back, remove));
    return line;
  };
  doing(of, load);
  return { panel: panel(t("backups"), make("div", { class: "tools" }, make("label", {}, t("name"), of), sender(path, of)), list), load };
}

/// Asks before something is replaced.
function sure(name, file, restore) {
  const go = button(t("restore"), () => doing(go, async () => {
    await restore();
    box.close();
  }), "button");
  const box = dialog(t("restore"), make("p", {}, name ? t("restoreSure", name) : t("restoreAll")), make("p", { class: "muted" }, file),
    make("div", { class: "row" }, button(t("cancel"), () => box.close()), go));
}

/// A backup from elsewhere takes the place of what is chosen.
function sender(path, of) {
  const file = make("input", { id: "backup-file", type: "file", class: "unseen", accept: ".snapshot" });
  const told = make("span", { role: "status", class: "muted" });
  file.addEventListener("change", () => {
    const [chosen] = file.files;
    file.value = "";
    if (!chosen) return;
    sure(of.value, chosen.name, async () => {
      const form = new FormData();
      form.append("snapshot", chosen, chosen.name);
      const progress = (part) => { told.textContent = part < 1 ? t("sent", Math.round(part * 100)) : t("working"); };
      try {
        await send(path("/upload?wait=true"), form, { progress });
        notice(t("restored", chosen.name));
      } finally { told.textContent = ""; }
    });
  });
  return make("span", { class: "row" }, file, make("label", { for: "backup-file", class: "button quiet" }, t("sendBackup")), told);
}
