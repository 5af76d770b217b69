// Pictures of the page for the documents, written into the folder that is the first argument.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fill, launch, montage, open, people, photoOf, serve } from "./stage.mjs";

const [out] = process.argv.slice(2);
/// What a picture may weigh, in bytes.
const MOST = 150_000;

const answered = (page) => page.locator("#cards .card").first().waitFor();

const server = await serve();
const browser = await launch();
try {
  fill(server.url, "pioneers");
  await lookAlikes();
  await severalFaces();
  await browsing();
  await operating();
  await onAPhone();
} finally {
  await browser.close();
  await server.stop();
}

async function shown(hash, options, work) {
  const { page, context } = await open(browser, `${server.url}/${hash}`, options);
  await work(page);
  await context.close();
}

/// Whether all pictures that are seen are there; those further down wait to be scrolled to.
function painted() {
  const seen = (image) => image.checkVisibility() && image.getBoundingClientRect().top < innerHeight;
  return [...document.images].every((image) => image.complete || !seen(image));
}

/// Writes what a page shows as WebP.
async function kept(page, name) {
  await page.waitForFunction(painted);
  const png = (await page.screenshot({ animations: "disabled" })).toString("base64");
  const canvas = await page.context().newPage();
  const webp = await canvas.evaluate(async (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const drawn = Object.assign(document.createElement("canvas"), { width: bitmap.width, height: bitmap.height });
    drawn.getContext("2d").drawImage(bitmap, 0, 0);
    return drawn.toDataURL("image/webp", 0.82).split(",")[1];
  }, png);
  await canvas.close();
  const picture = Buffer.from(webp, "base64");
  if (picture.length > MOST) throw new Error(`${name}: ${picture.length} bytes are more than ${MOST}`);
  writeFileSync(join(out, `${name}.webp`), picture);
  console.log(`${name}.webp: ${picture.length} bytes`);
}

async function lookAlikes() {
  await shown("", { viewport: { width: 1280, height: 800 } }, async (page) => {
    await page.setInputFiles("#file", photoOf(people()[2]));
    await answered(page);
    await page.locator("#cards details").first().evaluate((it) => { it.open = true; });
    await kept(page, "look-alikes");
  });
}

async function severalFaces() {
  await shown("", { viewport: { width: 1280, height: 800 }, colorScheme: "dark" }, async (page) => {
    const group = await montage(page, people().slice(0, 4).map((person) => photoOf(person)));
    await page.setInputFiles("#file", { name: "group.png", mimeType: "image/png", buffer: group });
    await answered(page);
    await page.locator(".box").nth(1).click();
    await kept(page, "several-faces");
  });
}

async function browsing() {
  await shown("#/collections/pioneers", { viewport: { width: 1280, height: 640 } }, async (page) => {
    await page.locator("#people img").first().waitFor();
    await kept(page, "people");
  });
}

async function operating() {
  await shown("#/admin", { viewport: { width: 1280, height: 960 } }, async (page) => {
    for (const kind of ["backup", "cluster", "purge"]) {
      await page.selectOption("#job-kind", kind);
      await page.selectOption("#job-of", "pioneers");
      await page.click("#begin");
      await page.locator("[data-job] td", { hasText: /./ }).first().waitFor();
      await page.locator("[data-status=running]").waitFor({ state: "detached" });
    }
    const photo = readFileSync(photoOf(people()[0]));
    const search = async () => {
      const form = new FormData();
      form.append("image", new Blob([photo]), "photo.jpg");
      await fetch(`${server.url}/collections/pioneers/faces/search`, { method: "POST", body: form });
    };
    for (let round = 0; round < 12; round += 1) {
      await Promise.all(Array.from({ length: 1 + round % 4 }, search));
      await page.waitForTimeout(900);
    }
    await kept(page, "console");
  });
}

async function onAPhone() {
  const options = { viewport: { width: 390, height: 780 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true, locale: "ru-RU", colorScheme: "dark" };
  await shown("", options, async (page) => {
    await page.setInputFiles("#file", photoOf(people()[1]));
    await answered(page);
    await kept(page, "phone");
  });
}
