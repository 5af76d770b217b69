// What an operator sets when a job begins: an index's settings, another model, what a purge takes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fill, montage, people, photoOf } from "./stage.mjs";
import { at, named, opened, sees, serious, server, told } from "./suite.mjs";

const SECOND = "mobilefacenet-192";

/// Opens the console with a kind of job and a collection chosen, its settings shown.
async function chosen(kind, collection) {
  const page = await at("#/admin");
  await choose(page, kind, collection);
  return page;
}

async function choose(page, kind, collection) {
  await page.selectOption("#job-of", collection);
  await page.selectOption("#job-kind", kind);
  await page.locator("#begin:enabled").waitFor();
}

async function done(page, kind) {
  const row = page.locator("[data-job]", { hasText: kind }).first();
  await row.and(page.locator("[data-status=completed]")).waitFor();
  return row.textContent();
}

test("an index is built anew with settings that begin as they are, and are kept", async () => {
  fill(server.url, "tuned");
  const page = await chosen("reindex", "tuned");
  const now = async () => Object.fromEntries(await page.locator("#settings :is(input, select)").evaluateAll((all) => all.map((it) => [it.id, it.type === "checkbox" ? it.checked : it.value])));
  const before = await told("/collections/tuned");
  assert.deepEqual(await now(), { "m": "16", "ef-construct": "200", "codes": "four_bits", "on-disk": before.config.params.vectors.on_disk });
  assert.deepEqual(await serious(page), []);
  await page.fill("#m", "1");
  await page.click("#begin");
  assert.equal(await page.locator("#m:invalid").count(), 1);
  await page.fill("#m", "24");
  await page.fill("#ef-construct", "300");
  await page.selectOption("#codes", "int8");
  await page.click("#begin");
  await done(page, "Build the index anew");
  const { config, walked_on: codes } = await told("/collections/tuned");
  assert.deepEqual([config.hnsw_config.m, config.hnsw_config.ef_construct, codes[""]], [24, 300, "int8"]);
  await page.selectOption("#job-kind", "purge");
  await page.locator("#old-backups").waitFor();
  await page.selectOption("#job-kind", "reindex");
  await page.locator("#m").waitFor();
  assert.deepEqual(Object.values(await now()).slice(0, 3), ["24", "300", "int8"]);
});

test("what the server refuses is told beside the settings", async () => {
  fill(server.url, "refused");
  const page = await chosen("reindex", "refused");
  await page.locator("#m").evaluate((it) => { it.max = 9999; });
  await page.fill("#m", "999");
  await page.click("#begin");
  await page.locator("#refused", { hasText: "m must be between 2 and 256, got 999" }).waitFor();
  assert.equal((await told("/collections/refused")).config.hnsw_config.m, 16);
});

test("a collection is moved to another model, watched to the end, and searched by it", async (context) => {
  const { models } = await told("/faces/models");
  if (!models.some((it) => it.name === SECOND && it.loaded)) return context.skip(`no ${SECOND}`);
  fill(server.url, "moved");
  const page = await chosen("reembed", "moved");
  const own = (await told("/collections/moved")).embedder.name;
  const others = models.filter((it) => it.loaded && it.name !== own);
  assert.deepEqual(
    await page.locator("#model option").allTextContents(),
    others.map((it) => `${it.name} (${it.size})`),
  );
  await page.selectOption("#model", { label: `${SECOND} (192)` });
  assert.deepEqual(await serious(page), []);
  await page.click("#begin");
  assert.match(await done(page, "Move to another model"), new RegExp(`faces made anew, vector ${SECOND}`));
  const { config, embedder } = await told("/collections/moved");
  assert.equal(embedder.name, SECOND);
  assert.deepEqual(Object.keys(config.params.vectors), [SECOND]);
  await page.goto(`${server.url}/#/`);
  await page.selectOption("#collection", "moved");
  await page.setInputFiles("#file", photoOf(people()[0]));
  await page.locator("#cards .card .name", { hasText: named(people()[0]) }).waitFor();
  return undefined;
});

test("a move to another model is cancelled, and all is found as before", async (context) => {
  const { models } = await told("/faces/models");
  if (!models.some((it) => it.name === SECOND && it.loaded)) return context.skip(`no ${SECOND}`);
  fill(server.url, "stayed");
  const photo = new Blob([await montage(await at(), [photoOf(people()[0])])]);
  const again = async () => {
    const form = new FormData();
    form.append("image", photo, "photo.jpg");
    await fetch(`${server.url}/collections/stayed/faces`, { method: "POST", body: form });
  };
  // So many that a move is still at work when its give-up is confirmed.
  for (let round = 0; round < 24; round += 1) await Promise.all([1, 2, 3, 4].map(again));
  const { page } = opened;
  await page.goto(`${server.url}/#/admin`);
  await choose(page, "reembed", "stayed");
  await page.click("#begin");
  const row = page.locator("[data-job]", { hasText: "stayed" }).first();
  await row.locator("button", { hasText: "Cancel" }).click();
  await row.and(page.locator("[data-status=cancelled]")).waitFor();
  await page.selectOption("#job-kind", "purge");
  await page.selectOption("#job-kind", "reembed");
  await page.locator("#settings .hint", { hasText: `A move to ${SECOND} has begun` }).waitFor();
  assert.ok((await told("/collections/stayed")).config.metadata.reembedding);
  assert.deepEqual(await serious(page), []);
  await page.click("#give-up");
  await page.locator("dialog p", { hasText: "The new vectors go" }).waitFor();
  await page.locator("dialog button", { hasText: "Give up the move" }).click();
  await page.locator(".notice", { hasText: "stayed: the move was given up" }).waitFor();
  await page.locator("#settings .hint", { hasText: "Now: " }).waitFor();
  assert.equal(await page.locator("#give-up").count(), 0);
  const after = await told("/collections/stayed");
  assert.deepEqual([after.config.metadata, typeof after.config.params.vectors.size], [undefined, "number"]);
  // One that is at work is cancelled by it.
  await page.click("#begin");
  await page.locator("[data-job][data-status=running]", { hasText: "stayed" }).locator("[data-give-up]").click();
  await page.locator("dialog button", { hasText: "Give up the move" }).click();
  await page.locator("dialog").waitFor({ state: "detached" });
  assert.equal((await told("/collections/stayed")).config.metadata, undefined);
  await page.goto(`${server.url}/#/`);
  await page.selectOption("#collection", "stayed");
  await page.setInputFiles("#file", photoOf(people()[1]));
  await page.locator("#cards .card .name", { hasText: named(people()[1]) }).waitFor();
  return undefined;
});

test("where no model made the vectors, the console says that there is nothing to move", async () => {
  await fetch(`${server.url}/collections/plain`, { method: "PUT", headers: { "content-type": "application/json" }, body: '{"vectors": {"size": 4, "distance": "Dot"}}' });
  const page = await at("#/admin");
  await page.selectOption("#job-of", "plain");
  await page.selectOption("#job-kind", "reembed");
  await page.locator("#settings", { hasText: "No model made the vectors" }).waitFor();
  assert.equal(await page.locator("#begin").isDisabled(), true);
  await page.goto(`${server.url}/#/collections/plain`);
  await sees(page, "That did not work");
  await page.locator(".trouble p", { hasText: "keyword" }).waitFor();
});
