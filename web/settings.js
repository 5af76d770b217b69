// What each kind of job is told before it begins: which collection it can be about, a form with the
// present settings in it, and the request that comes of it.
import { ask } from "./api.js";
import { make } from "./dom.js";
import { giveUpButton } from "./moves.js";
import { t } from "./strings.js";

/// How an index's codes are asked for. Those that are not told here stay as they are.
const CODES = {
  f32: "Disabled",
  int8: { scalar: { type: "int8" } },
  one_bit: { binary: { encoding: "one_bit" } },
  two_bits: { binary: { encoding: "two_bits" } },
  four_bits: { packed: { bits: 4 } },
};

const of = (name) => `/admin/collections/${encodeURIComponent(name)}`;

const plain = (kind, settings = {}) => (collection) => ({
  fields: [],
  request: () => [collection ? `${of(collection.name)}/jobs` : "/admin/jobs", { kind, ...settings }],
});

/// A form for each kind; it is given the collection as the server describes it, none for all, and what asks
/// for the form anew.
export const KINDS = { backup: plain("backup"), reindex, reembed, cluster, purge };

const labelled = (text, field) => make("label", {}, text, field);
const checkbox = (id, text) => {
  const field = make("input", { id, type: "checkbox" });
  return [field, make("label", { class: "check" }, field, text)];
};
const select = (id, options, value, onchange) => make("select", { id, onchange },
  ...options.map(([known, text]) => make("option", { value: known, selected: known === value }, text)));
const hint = (text) => make("p", { class: "muted hint" }, text);

/// The vectors of a collection by name; the name of one without is empty.
function vectorsOf({ config, embedder }) {
  const { vectors } = config.params;
  return typeof vectors.size === "number" ? { "": { ...config, ...vectors, embedder: embedder?.name } } : vectors;
}

function reindex(collection) {
  const vectors = vectorsOf(collection);
  const names = Object.keys(vectors);
  const using = select("using", names.map((name) => [name, name]), names[0], () => present());
  const links = make("input", { id: "m", type: "number", min: 2, max: 256, required: true });
  const width = make("input", { id: "ef-construct", type: "number", min: 1, max: 10_000, required: true });
  const codes = select("codes", Object.keys(CODES).map((it) => [it, t(it)]));
  const [onDisk, onDiskLabel] = checkbox("on-disk", t("onDisk"));
  const before = () => {
    const { hnsw_config: { m, ef_construct: ef }, on_disk: disk } = vectors[using.value] ?? vectors[names[0]];
    return { m, ef, codes: collection.walked_on[using.value || names[0]], disk };
  };
  const present = () => {
    const now = before();
    Object.assign(links, { value: now.m });
    Object.assign(width, { value: now.ef });
    codes.value = now.codes;
    onDisk.checked = now.disk;
  };
  if (names.length > 0) present();
  const request = () => {
    const body = { hnsw_config: { m: links.valueAsNumber, ef_construct: width.valueAsNumber }, on_disk: onDisk.checked };
    // The server chooses codes by a vector's size; only another choice is said.
    if (codes.value !== before().codes) body.quantization_config = CODES[codes.value];
    if (names.length > 1) body.using = using.value;
    return [`${of(collection.name)}/reindex`, body];
  };
  const fields = [names.length > 1 ? labelled(t("vector"), using) : null,
    labelled(t("links"), links), labelled(t("width"), width), labelled(t("codes"), codes), onDiskLabel, hint(t("reindexHint"))];
  return { fields, request };
}

async function reembed(collection, anew) {
  const made = Object.entries(vectorsOf(collection)).filter(([, vector]) => vector.embedder);
  if (made.length === 0) return { fields: [hint(t("noModelMade"))] };
  const noted = collection.config.metadata?.reembedding;
  const moving = noted?.state === "kept" ? undefined : noted;
  const { models } = await ask("GET", "/faces/models");
  const usable = models.filter((it) => it.loaded && (moving || it.name !== collection.embedder.name));
  const giveUp = moving ? giveUpButton(collection.name, anew, { id: "give-up" }) : null;
  if (usable.length === 0) return { fields: [hint(t("noOtherModel")), make("code", {}, "doppel models install MODEL"), giveUp] };
  const model = select("model", usable.map(({ name, size }) => [name, `${name} (${size})`]), moving?.model ?? usable[0].name, () => present());
  const from = select("from", made.map(([name]) => [name, name]), made[0][0]);
  const [keepOld, keepLabel] = checkbox("keep-old", t("keepOld"));
  const [accept, acceptLabel] = checkbox("accept-missing", t("acceptMissing"));
  const ofHeads = hint(t("ofHeads"));
  const fromLabel = labelled(t("vector"), from);
  // A head makes its vectors of its base's, where there are some; these cannot be made of what it makes.
  const present = () => {
    const base = usable.find(({ name }) => name === model.value)?.base;
    keepOld.checked = moving?.keep_old ?? Boolean(base);
    ofHeads.hidden = !base;
    fromLabel.hidden = made.length === 1 || Boolean(moving) || made.some(([, vector]) => base && vector.embedder === base.name);
  };
  present();
  const request = () => {
    const body = { model: model.value, keep_old: keepOld.checked, accept_missing: accept.checked };
    if (!fromLabel.hidden) body.from = from.value;
    return [`${of(collection.name)}/reembed`, body];
  };
  const fields = [labelled(t("model"), model), fromLabel, keepLabel, ofHeads, acceptLabel, giveUp, hint(moving ? t("moving", moving.model) : t("reembedHint", collection.embedder.name))];
  return { fields, request };
}

function cluster(collection) {
  const names = Object.keys(vectorsOf(collection));
  const using = select("using", names.map((name) => [name, name]), names[0]);
  const threshold = make("input", { id: "threshold", type: "number", min: -1, max: 1, step: 0.01, placeholder: t("ofModel") });
  const least = make("input", { id: "min-faces", type: "number", min: 1, value: 2, required: true });
  const [write, writeLabel] = checkbox("write", t("writeNames"));
  const request = () => {
    const body = { min_faces: least.valueAsNumber, write: write.checked };
    if (threshold.value) body.threshold = threshold.valueAsNumber;
    if (names.length > 1) body.using = using.value;
    return [`${of(collection.name)}/cluster`, body];
  };
  const fields = [names.length > 1 ? labelled(t("vector"), using) : null,
    labelled(t("nearness"), threshold), labelled(t("minFaces"), least), writeLabel];
  return { fields, request };
}

function purge(collection) {
  const [all, allLabel] = checkbox("old-backups", t("oldBackups"));
  const request = () => plain("purge", { backups: all.checked ? "delete" : "keep" })(collection).request();
  return { fields: [allLabel, hint(t("purgeHint"))], request };
}
