// The operator's console: jobs, backups, figures, keys.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { allPhotos, fill, people, photoOf, serve } from "./stage.mjs";
import { at, named, sees, serious, server } from "./suite.mjs";

const KEY = "a-key-for-the-test";

/// Begins a job in the console and waits until it is done; its row is returned.
async function job(page, kind, collection) {
  const before = await page.locator("[data-job]").count();
  await page.selectOption("#job-kind", kind);
  await page.selectOption("#job-of", collection);
  await page.click("#begin");
  await page.waitForFunction((count) => document.querySelectorAll("[data-job]").length > count, before);
  await page.locator("[data-job]").first().and(page.locator("[data-status=completed]")).waitFor();
  return page.locator("[data-job]").first();
}

const points = async (collection) => (await (await fetch(`${server.url}/collections/${collection}`)).json()).result.points_count;

test("jobs, a reindex among them, are begun, watched to their end, and tell what came of them", async () => {
  fill(server.url, "watched");
  const page = await at("#/admin");
  const [person] = people();
  await fetch(`${server.url}/collections/watched/faces?person=${encodeURIComponent(named(person))}&wait=true`, { method: "DELETE" });
  const grouped = await job(page, "cluster", "watched");
  assert.match(await grouped.textContent(), /groups of \d+ faces/);
  const rebuilt = await job(page, "reindex", "watched");
  assert.match(await rebuilt.textContent(), /Build the index anew.*\d+ points, .*[KM]iB/);
  const purged = await job(page, "purge", "watched");
  assert.match(await purged.textContent(), /5 \/ 5.*files rewritten/);
  const saved = await job(page, "backup", "watched");
  assert.match(await saved.textContent(), /watched.*\.snapshot/);
  assert.equal(await page.locator("#job-of option[value='']").isDisabled(), false);
  await job(page, "backup", "");
  await page.selectOption("#backup-of", "");
  await page.locator("section[aria-label=Backups] tbody tr").first().waitFor();
  assert.deepEqual(await serious(page), []);
});

test("a job is cancelled while it is at work", async () => {
  const body = { vectors: { size: 64, distance: "Cosine" } };
  const send = (method, path, json) => fetch(`${server.url}${path}`, { method, headers: { "content-type": "application/json" }, body: JSON.stringify(json) });
  await send("PUT", "/collections/many", body);
  for (let batch = 0; batch < 10; batch += 1) {
    const ids = Array.from({ length: 1500 }, (_, index) => 1500 * batch + index);
    const put = await send("PUT", "/collections/many/points?wait=true", { points: ids.map((id) => ({ id, vector: Array.from({ length: 64 }, () => Math.random() - 0.5) })) });
    assert.equal(put.status, 200);
  }
  const page = await at("#/admin");
  await page.selectOption("#job-kind", "cluster");
  await page.selectOption("#job-of", "many");
  await page.click("#begin");
  await page.locator("#refused", { hasText: "threshold" }).waitFor();
  await page.fill("#threshold", "0.9");
  await page.click("#begin");
  const row = page.locator("[data-job]").first();
  await row.locator("button", { hasText: "Cancel" }).click();
  await row.and(page.locator("[data-status=cancelled]")).waitFor();
  await send("DELETE", "/collections/many");
});

test("backups are downloaded, restored, sent to another collection, and removed", async () => {
  fill(server.url, "saved");
  const page = await at("#/admin");
  const list = page.locator("section[aria-label=Backups]");
  await page.selectOption("#backup-of", "saved");
  await list.locator("p", { hasText: "No backups yet" }).waitFor();
  await job(page, "backup", "saved");
  const download = page.waitForEvent("download");
  await list.locator("button", { hasText: "Download" }).click();
  const file = await (await download).path();
  assert.equal(readFileSync(file).subarray(0, 8).toString(), "doppelBK");
  await fetch(`${server.url}/collections/saved/faces?person=${encodeURIComponent(named(people()[0]))}&wait=true`, { method: "DELETE" });
  assert.notEqual(await points("saved"), allPhotos());
  await list.locator("button", { hasText: "Restore" }).click();
  await page.locator("dialog p", { hasText: "Replace collection saved" }).waitFor();
  await page.locator("dialog .button:not(.quiet)").click();
  await page.locator(".notice", { hasText: "Restored" }).waitFor();
  assert.equal(await points("saved"), allPhotos());
  fill(server.url, "elsewhere");
  await fetch(`${server.url}/collections/elsewhere/faces?person=${encodeURIComponent(named(people()[0]))}&wait=true`, { method: "DELETE" });
  await page.reload();
  await page.selectOption("#backup-of", "elsewhere");
  await page.setInputFiles("#backup-file", { name: "words.snapshot", mimeType: "application/octet-stream", buffer: Buffer.from("words") });
  await page.locator("dialog .button:not(.quiet)").click();
  await page.locator(".notice", { hasText: "did not work" }).waitFor();
  await page.keyboard.press("Escape");
  await page.setInputFiles("#backup-file", { name: "saved.snapshot", mimeType: "application/octet-stream", buffer: readFileSync(file) });
  await page.locator("dialog .button:not(.quiet)").click();
  await page.locator(".notice", { hasText: "Restored from saved.snapshot" }).waitFor();
  assert.equal(await points("elsewhere"), allPhotos());
  await page.selectOption("#backup-of", "saved");
  const gone = page.waitForResponse((it) => it.request().method() === "DELETE");
  await list.locator("button", { hasText: "Delete" }).click();
  assert.equal((await gone).status(), 200);
  await page.reload();
  await page.selectOption("#backup-of", "saved");
  await list.locator("p", { hasText: "No backups yet" }).waitFor();
});

test("a backup of everything is downloaded and restored", async () => {
  fill(server.url, "whole");
  const page = await at("#/admin");
  const list = page.locator("section[aria-label=Backups]");
  await job(page, "backup", "");
  await page.selectOption("#backup-of", "whole");
  await page.selectOption("#backup-of", "");
  const latest = list.locator("tbody tr").first();
  const download = page.waitForEvent("download");
  await latest.locator("button", { hasText: "Download" }).click();
  assert.equal(readFileSync(await (await download).path()).subarray(0, 8).toString(), "doppelBK");
  await fetch(`${server.url}/collections/whole`, { method: "DELETE" });
  await latest.locator("button", { hasText: "Restore" }).click();
  await page.locator("dialog p", { hasText: "Replace every collection" }).waitFor();
  await page.locator("dialog .button:not(.quiet)").click();
  await page.locator(".notice", { hasText: "Restored" }).waitFor();
  assert.equal(await points("whole"), allPhotos());
});

test("the console measures, draws what goes on, and asks", async () => {
  fill(server.url, "measured");
  const page = await at("#/admin");
  const row = page.locator("tr", { hasText: "measured" });
  await row.locator("button", { hasText: "Measure" }).click();
  await row.locator("span", { hasText: "ef " }).first().waitFor();
  await page.fill("#path", "/collections/measured");
  await page.locator("button", { hasText: "Send", exact: true }).last().click();
  await page.locator("#answer", { hasText: `"points_count": ${allPhotos()}` }).waitFor();
  const form = new FormData();
  form.append("image", new Blob([readFileSync(photoOf(people()[0]))]), "photo.jpg");
  await fetch(`${server.url}/collections/measured/faces?wait=true`, { method: "POST", body: form });
  for (const chart of ["requests", "latency", "inserts"]) await page.locator(`[data-chart=${chart}] strong`, { hasText: /[1-9]/ }).waitFor();
  assert.match(await page.locator("[data-chart=queue] strong").textContent(), /\d/);
  assert.deepEqual(await serious(page), []);
});

test("a wrong key is told, the right one opens the console", async () => {
  const locked = await serve({ DOPPEL_API_KEY: KEY });
  try {
    const page = await at("#/admin", {}, locked.url);
    await sees(page, "An API key is needed");
    await page.fill("#key", "wrong");
    await page.click(".key button");
    await sees(page, "This is not the right key");
    await page.fill("#key", KEY);
    await page.click(".key button");
    await page.locator(".chart").first().waitFor();
    assert.equal(new URL(page.url()).search, "");
  } finally {
    await locked.stop();
  }
});
