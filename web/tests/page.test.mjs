// The page in a real browser against a real server with real models and photos.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, afterEach, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { allPhotos, fill, launch, open, people, photoOf, serve } from "./stage.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const KEY = "a-key-for-the-test";
let server, browser, opened;

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

async function at(hash = "", options = {}, url = server.url) {
  opened = await open(browser, `${url}/${hash}`, options);
  return opened.page;
}

const cards = (page) => page.locator("#cards .card");
const first = (page) => page.locator("#cards .card .name").first();
const named = (person) => person.replaceAll("_", " ");
const given = (page, buffer, name = "photo.png", mimeType = "image/png") => page.setInputFiles("#file", { name, mimeType, buffer });

/// A picture drawn in the page: photos side by side, each at a scale.
async function montage(page, files, scale = 1) {
  const sources = files.map((file) => readFileSync(file).toString("base64"));
  const drawn = await page.evaluate(async ([all, by]) => {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: 250 * Math.max(all.length, 1), height: 250 });
    const pen = canvas.getContext("2d");
    pen.fillStyle = "#777";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    for (const [index, text] of all.entries()) {
      const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
      const image = await createImageBitmap(new Blob([bytes]));
      pen.drawImage(image, 250 * index, 0, 250 * by, 250 * by);
    }
    return canvas.toDataURL("image/png").split(",")[1];
  }, [sources, scale]);
  return Buffer.from(drawn, "base64");
}

/// Files that are pasted or dropped onto the page.
async function dropped(page, kind, files) {
  const sources = files.map((file) => readFileSync(file).toString("base64"));
  await page.evaluate(([event, all]) => {
    const data = new DataTransfer();
    for (const text of all) data.items.add(new File([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], "photo.jpg", { type: "image/jpeg" }));
    const made = event === "paste" ? new ClipboardEvent(event, { clipboardData: data, bubbles: true }) : new DragEvent(event, { dataTransfer: data, bubbles: true, cancelable: true });
    document.body.dispatchEvent(made);
  }, [kind, sources]);
}

async function sees(page, title) {
  await page.locator(".trouble h3", { hasText: title }).waitFor();
}

async function serious(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
}

test("a photo is sent and its own person is found first, other photos folded", async () => {
  const page = await at();
  const [person] = people();
  await page.setInputFiles("#file", photoOf(person));
  await cards(page).first().waitFor();
  assert.equal(await first(page).textContent(), named(person));
  assert.match(await cards(page).first().textContent(), /100 % alike.*2 more photos/s);
  assert.equal(await page.locator(".box").count(), 1);
  assert.equal(await cards(page).count(), people().length);
  assert.deepEqual(await serious(page), []);
});

test("of several faces one is chosen, and the answer follows", async () => {
  const page = await at();
  const [left, right] = people();
  await given(page, await montage(page, [photoOf(left), photoOf(right)]));
  await page.locator(".box").nth(1).waitFor();
  const found = new Set();
  for (const index of [0, 1]) {
    await page.locator(".box").nth(index).focus();
    await page.keyboard.press("Enter");
    assert.equal(await page.locator(".box").nth(index).getAttribute("aria-pressed"), "true");
    found.add(await first(page).textContent());
  }
  assert.deepEqual(found, new Set([named(left), named(right)]));
});

test("a photo can be pasted and dropped", async () => {
  const page = await at();
  for (const kind of ["paste", "drop"]) {
    await page.reload();
    await page.locator(".example").first().waitFor();
    await dropped(page, kind, [photoOf(people()[0])]);
    await cards(page).first().waitFor();
    assert.equal(await first(page).textContent(), named(people()[0]), kind);
  }
});

test("the camera gives a photo, and says what is in its way", async () => {
  const page = await at();
  await page.click("#camera");
  await page.locator("dialog .button:not(.quiet)").click();
  await sees(page, "No face found");
  for (const [error, words] of [["NotAllowedError", /not allowed/], ["NotFoundError", /No camera/], ["NotReadableError", /in use/]]) {
    await page.evaluate((name) => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", name)); }, error);
    await page.click("#camera");
    await page.locator("dialog p", { hasText: words }).waitFor();
    await page.keyboard.press("Escape");
  }
});

test("every refusal is told in words", async () => {
  const page = await at();
  await page.locator(".example").first().waitFor();
  await given(page, await montage(page, []));
  await sees(page, "No face found");
  await given(page, await montage(page, [photoOf(people()[0])], 0.15));
  await sees(page, "The face is too small");
  await given(page, Buffer.from("these are words"), "notes.txt", "text/plain");
  await sees(page, "This is not a photo");
  await given(page, Buffer.from("x"), "photo.heic", "image/heic");
  await page.locator(".trouble", { hasText: "HEIC" }).waitFor();
  await given(page, Buffer.alloc(33 << 20), "large.png");
  await sees(page, "The photo is too large");
  await dropped(page, "drop", [photoOf(people()[0]), photoOf(people()[1])]);
  await page.locator(".notice", { hasText: "One photo at a time" }).waitFor();
  await cards(page).first().waitFor();
  await opened.context.setOffline(true);
  await page.setInputFiles("#file", photoOf(people()[0]));
  await sees(page, "You are offline");
  await opened.context.setOffline(false);
  await page.click(".trouble button");
  await cards(page).first().waitFor();
});

test("a busy server is asked again", async () => {
  const page = await at();
  await page.locator(".example").first().waitFor();
  let refused = 0;
  await page.route("**/faces/search", (route) => {
    refused += 1;
    if (refused > 1) return route.continue();
    return route.fulfill({ status: 503, headers: { "retry-after": "1" }, body: '{"status": {"error": "busy"}}' });
  });
  await page.setInputFiles("#file", photoOf(people()[0]));
  await page.locator("#status", { hasText: "busy" }).waitFor();
  await cards(page).first().waitFor();
});

test("more like a face, two faces side by side, the result as a picture", async () => {
  const page = await at();
  await page.setInputFiles("#file", photoOf(people()[0]));
  await cards(page).first().waitFor();
  await page.locator("#cards button", { hasText: "Compare" }).nth(1).click();
  const second = await page.locator("dialog figcaption").nth(1).textContent();
  assert.notEqual(second, named(people()[0]));
  await page.keyboard.press("ArrowLeft");
  await page.locator("dialog figcaption", { hasText: named(people()[0]) }).waitFor();
  assert.deepEqual(await serious(page), []);
  await page.keyboard.press("Escape");
  const download = page.waitForEvent("download");
  await page.click("#share");
  const path = await (await download).path();
  assert.equal(readFileSync(path).subarray(1, 4).toString(), "PNG");
  await page.locator("#cards button", { hasText: "More like this" }).nth(1).click();
  await page.locator("#hint", { hasText: second }).waitFor();
  assert.equal(await first(page).textContent(), second);
});

test("a face is deleted, brought back, and deleted for good", async () => {
  fill(server.url, "gone");
  const person = people()[1];
  const page = await at(`#/collections/gone/${encodeURIComponent(named(person))}`);
  const faces = page.locator("#faces .card:visible");
  const count = async () => (await (await fetch(`${server.url}/collections/gone`)).json()).result.points_count;
  await faces.nth(2).waitFor();
  const before = await count();
  await page.locator("#faces .danger").first().click();
  assert.equal(await faces.count(), 2);
  await page.locator(".notice button").click();
  assert.equal(await faces.count(), 3);
  assert.equal(await count(), before, "nothing was lost");
  await page.locator("#faces .danger").first().click();
  const answered = page.waitForResponse((it) => it.request().method() === "DELETE");
  assert.equal((await answered).status(), 200);
  assert.equal(await count(), before - 1);
});

test("people are found by name, renamed, and get photos and data", async () => {
  fill(server.url, "kept");
  const page = await at("#/collections/kept");
  const [person, other] = people();
  await page.locator("#people .card").first().waitFor();
  await page.fill("#find", named(person));
  await page.locator("#people .card").nth(1).waitFor({ state: "detached" });
  assert.deepEqual(await serious(page), []);
  await page.locator("#people .card a").click();
  await page.locator("#faces .card").nth(2).waitFor();
  await page.setInputFiles("#add", [{ name: "again.jpg", mimeType: "image/jpeg", buffer: readFileSync(photoOf(person)) }, { name: "words.png", mimeType: "image/png", buffer: Buffer.from("words") }]);
  await page.locator("#files li", { hasText: "same picture" }).waitFor();
  await page.locator("#files li", { hasText: "words.pngThis is not a photo" }).waitFor();
  await page.locator("#faces button", { hasText: "Edit data" }).first().click();
  await page.fill("#payload", "[]");
  await page.locator("dialog .button:not(.quiet)").click();
  await page.locator("dialog .wrong", { hasText: "not a JSON object" }).waitFor();
  await page.keyboard.press("Escape");
  await page.locator("button", { hasText: "Rename" }).click();
  const markup = "<img src=x onerror=alert(1)>";
  await page.fill("dialog input", markup);
  await page.locator("dialog [type=submit]").click();
  await page.locator("h2", { hasText: markup }).waitFor();
  assert.equal(await page.locator("img[src=x]").count(), 0);
  await page.goto(`${server.url}/#/collections/kept`);
  await page.fill("#find", named(other));
  await page.locator("#people .card").first().waitFor();
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

test("the console measures, backs up, downloads, restores, purges and asks", async () => {
  fill(server.url, "watched");
  const page = await at("#/admin");
  const row = page.locator("tr", { hasText: "watched" });
  await row.locator("button", { hasText: "Measure" }).click();
  await row.locator("span", { hasText: "ef " }).first().waitFor();
  await page.selectOption("#backup-of", "watched");
  await page.locator("button", { hasText: "Back up" }).click();
  const download = page.waitForEvent("download");
  await page.locator("button", { hasText: "Download" }).click();
  assert.ok(readFileSync(await (await download).path()).length > 1000);
  await fetch(`${server.url}/collections/watched/faces/delete?wait=true`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ person: named(people()[0]) }) });
  page.once("dialog", (asked) => asked.accept());
  await page.locator("button", { hasText: "Restore" }).click();
  await page.locator(".notice", { hasText: "Restored" }).waitFor();
  await row.locator("button", { hasText: "Purge" }).click();
  await page.locator(".notice", { hasText: "Purged" }).waitFor();
  await page.fill("#path", "/collections/watched");
  await page.locator("button", { hasText: "Send" }).click();
  await page.locator("#answer", { hasText: `"points_count": ${allPhotos()}` }).waitFor();
  await page.locator("[data-chart=requests] strong", { hasText: /[1-9]/ }).waitFor();
  assert.deepEqual(await serious(page), []);
});

test("on a phone, in the dark, in Russian, everything fits and axe finds nothing serious", async () => {
  const page = await at("", { viewport: { width: 360, height: 740 }, colorScheme: "dark", locale: "ru-RU", hasTouch: true, isMobile: true });
  await page.setInputFiles("#file", photoOf(people()[0]));
  await cards(page).first().waitFor();
  for (const hash of ["#/", "#/collections", "#/collections/celebs", "#/admin"]) {
    await page.goto(`${server.url}/${hash}`);
    await page.locator("#main h2").first().waitFor();
    const [inner, wide] = await page.evaluate(() => [innerWidth, document.documentElement.scrollWidth]);
    assert.ok(wide <= inner, `${hash} is ${wide} wide`);
    assert.equal(await page.locator("html").getAttribute("lang"), "ru");
    assert.deepEqual(await serious(page), [], hash);
  }
  assert.match(await page.locator("nav").textContent(), /Двойники.*Коллекции.*Управление/);
});

test("the first load is small", async () => {
  opened = await open(browser, `${server.url}/healthz`);
  const { page, context } = opened;
  const session = await context.newCDPSession(page);
  await session.send("Emulation.setCPUThrottlingRate", { rate: 4 });
  const parts = [];
  page.on("response", (response) => parts.push(response));
  await page.goto(server.url, { waitUntil: "load" });
  const ready = await page.evaluate(() => performance.getEntriesByType("navigation")[0].domInteractive);
  const bodies = await Promise.all(parts.filter((it) => /\.(js|css|svg)$|\/$/.test(it.url())).map((it) => it.body()));
  const bytes = bodies.reduce((sum, body) => sum + gzipSync(body).length, 0);
  console.log(`first load: ${bytes} bytes compressed, interactive after ${Math.round(ready)} ms`);
  assert.ok(bytes < 150_000 && bodies.length > 10, `${bytes}`);
});
