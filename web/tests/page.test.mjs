// The page in a real browser against a real server with real models and photos.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fill, montage, people, photoOf } from "./stage.mjs";
import { at, cards, dropped, first, given, named, opened, sees, serious, server } from "./suite.mjs";

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
  await page.locator("button", { hasText: "Rename or merge" }).click();
  const markup = "<img src=x onerror=alert(1)>";
  await page.fill("dialog input", markup);
  await page.locator("dialog [type=submit]").click();
  await page.locator("h2", { hasText: markup }).waitFor();
  assert.equal(await page.locator("img[src=x]").count(), 0);
  await page.goto(`${server.url}/#/collections/kept`);
  await page.fill("#find", named(other));
  await page.locator("#people .card").first().waitFor();
});

test("two people become one, but not by mistake", async () => {
  fill(server.url, "merged");
  const [one, other] = people();
  const page = await at(`#/collections/merged/${encodeURIComponent(named(one))}`);
  await page.locator("#faces .card").first().waitFor();
  const before = await page.locator("#faces .card").count();
  await page.locator("button", { hasText: "Rename or merge" }).click();
  await page.fill("dialog input", named(other));
  await page.locator("#known option").first().waitFor({ state: "attached" });
  await page.locator("dialog [type=submit]").click();
  await page.locator("dialog p", { hasText: `There is a ${named(other)} already` }).waitFor();
  assert.deepEqual(await serious(page), []);
  await page.fill("dialog input", `${named(other)}x`);
  assert.equal(await page.locator("dialog [type=submit]").textContent(), "Save");
  await page.fill("dialog input", named(other));
  await page.locator("dialog [type=submit]", { hasText: "Save" }).click();
  await page.locator("dialog [type=submit]", { hasText: "Merge" }).click();
  await page.locator("h2", { hasText: named(other) }).waitFor();
  await page.locator("#faces .card").nth(before).waitFor();
  const { result } = await (await fetch(`${server.url}/collections/merged/people?limit=100`)).json();
  assert.equal(result.people.length, people().length - 1);
});

test("on a phone, in the dark, in Russian, everything fits and axe finds nothing serious", async () => {
  const page = await at("", { viewport: { width: 360, height: 740 }, colorScheme: "dark", locale: "ru-RU", hasTouch: true, isMobile: true });
  await page.setInputFiles("#file", photoOf(people()[0]));
  await cards(page).first().waitFor();
  const { result: backup } = await (await fetch(`${server.url}/collections/celebs/snapshots`, { method: "POST" })).json();
  const views = { "#/": "#main h2", "#/collections": ".card", "#/collections/celebs": "#people .card", [`#/collections/celebs/${encodeURIComponent(named(people()[0]))}`]: "#faces .card", "#/admin": `td:has-text("${backup.name}")` };
  for (const [hash, there] of Object.entries(views)) {
    await page.goto(`${server.url}/${hash}`);
    await page.locator(there).first().waitFor();
    // A phone zooms out to show what is too wide, so its own idea of the width says nothing.
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.equal(wide, 360, hash);
    assert.equal(await page.locator("html").getAttribute("lang"), "ru");
    assert.deepEqual(await serious(page), [], hash);
  }
  assert.match(await page.locator("nav").textContent(), /Двойники.*Коллекции.*Управление/);
});
