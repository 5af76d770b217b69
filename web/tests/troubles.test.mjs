// Whatever can go wrong is told in words.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fill, montage, people, photoOf, serve } from "./stage.mjs";
import { at, cards, dropped, given, named, opened, sees, server } from "./suite.mjs";

test("every refusal is told in words", async () => {
  const page = await at();
  await page.locator(".example").first().waitFor();
  await given(page, await montage(page, []));
  await sees(page, "No face found");
  await given(page, await montage(page, [photoOf(people()[0])], 0.25));
  await sees(page, "The face is too small");
  await given(page, Buffer.from("these are words"), "notes.txt", "text/plain");
  await sees(page, "This is not a photo");
  await given(page, Buffer.from("\0\0\0\x18ftypavif...."), "photo.avif", "image/avif");
  await page.locator(".trouble", { hasText: "AVIF" }).waitFor();
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

test("what a server, a disk or a setting keeps from being done is told in words", async () => {
  const page = await at();
  await page.locator(".example").first().waitFor();
  const photo = photoOf(people()[0]);
  const answers = [
    [{ status: 503, headers: { "retry-after": "0.01" }, body: '{"status": {"error": "too many photos at work"}}' }, "The server is busy", "too many photos at work"],
    [{ status: 507, body: '{"status": {"error": "writing has stopped"}}' }, "takes no changes after a disk error", "writing has stopped"],
    [{ status: 500, body: '{"status": {"error": "broken"}}' }, "That did not work", "broken"],
    [{ status: 200, body: "<html>a proxy</html>" }, "That did not work", "a proxy"],
  ];
  for (const [answer, title, text] of answers) {
    await page.route("**/faces/search", (route) => route.fulfill(answer));
    await page.setInputFiles("#file", photo);
    await sees(page, title);
    await page.locator(".trouble p", { hasText: text }).waitFor();
    await page.unroute("**/faces/search");
  }
  await page.route("**/faces/search", (route) => route.abort());
  await page.setInputFiles("#file", photo);
  await sees(page, "The server does not answer");
  await page.unroute("**/faces/search");
  await page.evaluate(() => { Object.defineProperty(navigator, "mediaDevices", { value: undefined }); });
  await page.click("#camera");
  await page.locator("dialog p", { hasText: "only to pages over HTTPS" }).waitFor();
  assert.equal(await page.locator("#capture").getAttribute("capture"), "user");
  await page.setInputFiles("#capture", photo);
  await cards(page).first().waitFor();
});

test("a collection that is gone, empty, or of another kind is told in words", async () => {
  fill(server.url, "going");
  const send = (method, path, body) => fetch(`${server.url}${path}`, { method, headers: { "content-type": "application/json" }, body });
  await send("PUT", "/collections/bare", '{"embedder": "facenet-128"}');
  const page = await at();
  await page.locator(".example").first().waitFor();
  await page.selectOption("#collection", "bare");
  await page.setInputFiles("#file", photoOf(people()[0]));
  await page.locator("#status", { hasText: "Nobody in this collection yet" }).waitFor();
  await page.selectOption("#collection", "going");
  await cards(page).first().waitFor();
  await send("DELETE", "/collections/going");
  await page.setInputFiles("#file", photoOf(people()[0]));
  await sees(page, "It is not there any more");
  await send("PUT", "/collections/going", '{"vectors": {"size": 4, "distance": "Dot"}}');
  await page.click(".trouble button");
  await sees(page, "This does not fit the collection");
  await send("DELETE", "/collections/going");
  await page.goto(`${server.url}/#/collections/bare`);
  await page.locator("p", { hasText: "Nobody by that name" }).waitFor();
  await send("DELETE", "/collections/bare");
});

test("a server without faces, or without models, says what to do", async () => {
  const bare = await serve({ DOPPEL_MODELS_DIR: `${process.cwd()}/no-models` });
  try {
    const page = await at("", {}, bare.url);
    await sees(page, "There are no faces here yet");
    assert.match(await page.locator(".trouble code").textContent(), /doppel import/);
    await page.goto(`${bare.url}/#/collections`);
    await page.fill("#new", "stars");
    await page.locator("form [type=submit]").click();
    await page.locator("#main .card .name", { hasText: "stars" }).waitFor();
    await page.goto(bare.url);
    await page.locator("#collection option").first().waitFor({ state: "attached" });
    await page.setInputFiles("#file", photoOf(people()[0]));
    await sees(page, "Face models are missing");
    assert.match(await page.locator(".trouble code").textContent(), /doppel models install/);
  } finally {
    await bare.stop();
  }
});

test("a face that is hard to make out is found, with a warning", async () => {
  const page = await at();
  await page.locator(".example").first().waitFor();
  const sharp = (await montage(page, [photoOf(people()[0])])).toString("base64");
  const blurred = await page.evaluate(async (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes]));
    const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
    const pen = canvas.getContext("2d");
    pen.filter = "blur(3px)";
    pen.drawImage(image, 0, 0);
    return canvas.toDataURL("image/png").split(",")[1];
  }, sharp);
  await given(page, Buffer.from(blurred, "base64"));
  await page.locator(".note", { hasText: "blurred" }).waitFor();
});

test("a delete that the server refuses is taken back and told", async () => {
  const page = await at(`#/collections/celebs/${encodeURIComponent(named(people()[0]))}`);
  const faces = page.locator("#faces .card:visible");
  await faces.nth(1).waitFor();
  const before = await faces.count();
  await page.route("**/faces/*", (route) => (route.request().method() === "DELETE" ? route.fulfill({ status: 507, body: '{"status": {"error": "the disk is full"}}' }) : route.continue()));
  await page.locator("#faces .danger").first().click();
  await page.locator(".notice", { hasText: "the disk is full" }).waitFor();
  assert.equal(await faces.count(), before);
});
