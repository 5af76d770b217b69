// What every file of tests begins with: a server with a collection of faces, a browser, a page that
// is closed after its test and must have done nothing that it must not do.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, afterEach, before } from "node:test";
import { fill, launch, open, serve } from "./stage.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
export let server, browser, opened;

before(async () => {
  server = await serve();
  fill(server.url, "celebs");
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});
afterEach(async () => {
  const was = opened;
  opened = undefined;
  await was?.context.close();
  assert.deepEqual(was?.errors ?? [], [], "what the page must not do");
});

export async function at(hash = "", options = {}, url = server.url) {
  opened = await open(browser, `${url}/${hash}`, options);
  return opened.page;
}

/// The `result` of an answer.
export const told = async (path) => (await (await fetch(`${server.url}${path}`)).json()).result;
export const cards = (page) => page.locator("#cards .card");
export const first = (page) => page.locator("#cards .card .name").first();
export const named = (person) => person.replaceAll("_", " ");
export const given = (page, buffer, name = "photo.png", mimeType = "image/png") => page.setInputFiles("#file", { name, mimeType, buffer });

export async function sees(page, title) {
  await page.locator(".trouble h3", { hasText: title }).waitFor();
}

export async function serious(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
}

/// Files that are pasted or dropped onto the page.
export async function dropped(page, kind, files) {
  const sources = files.map((file) => readFileSync(file).toString("base64"));
  await page.evaluate(([event, all]) => {
    const data = new DataTransfer();
    for (const text of all) data.items.add(new File([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], "photo.jpg", { type: "image/jpeg" }));
    const made = event === "paste" ? new ClipboardEvent(event, { clipboardData: data, bubbles: true }) : new DragEvent(event, { dataTransfer: data, bubbles: true, cancelable: true });
    document.body.dispatchEvent(made);
  }, [kind, sources]);
}
