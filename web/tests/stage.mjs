// What the tests stand on: servers of their own, a browser, photos. Everything is given by
// `cargo xtask browser`: PAGE_BINARY, DOPPEL_MODELS_DIR, PAGE_PHOTOS (a folder for each
// person), PAGE_CHROMIUM.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const { PAGE_BINARY: binary, PAGE_PHOTOS: photos, PAGE_CHROMIUM: executablePath } = process.env;
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];

/// A server over a new folder, ready; `stop` ends it.
export async function serve(env = {}) {
  const data = mkdtempSync(join(tmpdir(), "page-"));
  const args = ["serve", "--listen", "127.0.0.1:0", "--no-install", "--log-level", "error", "--data-dir", data];
  const child = spawn(binary, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "inherit"] });
  const line = await new Promise((resolve, reject) => {
    child.stdout.once("data", (text) => resolve(String(text)));
    child.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
  });
  const url = line.trim().replace("listening on ", "").replace(/\/$/, "");
  while ((await fetch(`${url}/readyz`)).status !== 200) await new Promise((resolve) => { setTimeout(resolve, 50); });
  const stop = async () => {
    const ended = new Promise((resolve) => { child.once("exit", resolve); });
    child.kill();
    await ended;
    rmSync(data, { recursive: true });
  };
  return { url, stop };
}

/// Fills a collection with the photos.
export function fill(url, collection) {
  const done = spawnSync(binary, ["import", photos, "--collection", collection, "--url", url], { encoding: "utf8" });
  if (done.status !== 0) throw new Error(done.stderr);
}

export const launch = () => chromium.launch({ executablePath, args: FLAGS });

const photosOf = (person) => readdirSync(join(photos, person));
/// The people that there are photos of, those with the most first; a photo of one; all photos.
export const people = () => readdirSync(photos).sort().sort((a, b) => photosOf(b).length - photosOf(a).length);
export const allPhotos = () => people().flatMap(photosOf).length;
export const photoOf = (person, at = 0) => join(photos, person, photosOf(person).sort()[at]);

/// A page, English unless asked otherwise; what it logs as an error is a failure.
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ locale: "en-GB", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => { if (/Content Security/.test(message.text())) errors.push(message.text()); });
  page.on("request", (request) => { if (!/^(blob|data):/.test(request.url()) && !request.url().startsWith(new URL(url).origin)) errors.push(request.url()); });
  await page.goto(url);
  return { page, context, errors };
}

/// A picture drawn in the page: the upper squares of photos side by side, each at a scale.
export async function montage(page, files, scale = 1) {
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
      const side = Math.min(image.width, image.height);
      pen.drawImage(image, (image.width - side) / 2, 0, side, side, 250 * index, 0, 250 * by, 250 * by);
    }
    return canvas.toDataURL("image/png").split(",")[1];
  }, [sources, scale]);
  return Buffer.from(drawn, "base64");
}
