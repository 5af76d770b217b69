// The result as a picture, made in this tab: the face, its best look-alikes, their scores.
import { blobOf, shown, asBlob } from "./photo.js";
import { keep, make } from "./dom.js";
import { percent } from "./cards.js";
import { t } from "./strings.js";

const [WIDTH, HEIGHT, SIDE] = [1200, 630, 440];

async function pictureOf(hit) {
  try { return await createImageBitmap(await blobOf(hit.image)); } catch { return null; }
}

/// Draws it. `left` is anything a canvas draws.
export async function drawn(left, caption, hit) {
  const canvas = make("canvas", { width: WIDTH, height: HEIGHT });
  const pen = canvas.getContext("2d");
  const ground = pen.createLinearGradient(0, 0, WIDTH, HEIGHT);
  ground.addColorStop(0, "#2b2f77");
  ground.addColorStop(1, "#d4502a");
  pen.fillStyle = ground;
  pen.fillRect(0, 0, WIDTH, HEIGHT);
  const right = hit.image ? await pictureOf(hit) : null;
  for (const [image, x, text] of [[left, 90, caption], [right, WIDTH - 90 - SIDE, shown(hit.person)]]) {
    pen.save();
    pen.beginPath();
    pen.roundRect(x, 50, SIDE, SIDE, 36);
    pen.clip();
    pen.fillStyle = "#ffffff33";
    pen.fillRect(x, 50, SIDE, SIDE);
    if (image) pen.drawImage(image, x, 50, SIDE, SIDE);
    pen.restore();
    pen.fillStyle = "#fff";
    pen.textAlign = "center";
    pen.font = "600 34px system-ui, sans-serif";
    pen.fillText(text, x + SIDE / 2, 545, SIDE);
  }
  pen.font = "700 60px system-ui, sans-serif";
  pen.fillText(`${percent(hit.score)} %`, WIDTH / 2, 290, 130);
  pen.font = "500 24px system-ui, sans-serif";
  pen.fillText("doppel", WIDTH / 2, 605);
  return asBlob(canvas);
}

/// Gives it to the device's own sharing where there is one, else to the downloads.
export async function share(blob) {
  const file = new File([blob], "doppel.png", { type: "image/png" });
  if (navigator.canShare?.({ files: [file] })) {
    try { await navigator.share({ files: [file], title: t("look") }); return; } catch (error) {
      if (error.name === "AbortError") return;
    }
  }
  keep(blob, "doppel.png");
}
