// Pictures in this tab: a photo made ready to be sent, a face cut out of it, a face that is kept.
import { headers, key, reach, Trouble } from "./api.js";
import { make } from "./dom.js";
import { t } from "./strings.js";

const LARGEST_SIDE = 2560;

/// Photos of phones are turned upright and made smaller before they are sent; what the browser
/// cannot read is left to the server to judge.
export async function prepared(file) {
  try {
    const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = LARGEST_SIDE / Math.max(bitmap.width, bitmap.height);
    if (scale >= 1) return file;
    const canvas = make("canvas", { width: Math.round(bitmap.width * scale), height: Math.round(bitmap.height * scale) });
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return await asBlob(canvas, "image/jpeg") ?? file;
  } catch {
    return file;
  }
}

export const asBlob = (canvas, type = "image/png") =>
  new Promise((resolve) => { canvas.toBlob(resolve, type, 0.92); });

/// A square of a photo around a face, as a canvas; nothing of a photo that this browser cannot show.
export function cutOut(image, face, { width, height }, side = 320) {
  if (image.naturalWidth === 0) return null;
  const [x, y, w, h] = face.box;
  const scale = image.naturalWidth / width;
  const edge = Math.min(Math.max(w, h) * 1.35, width, height);
  const left = Math.min(Math.max(x + w / 2 - edge / 2, 0), width - edge);
  const top = Math.min(Math.max(y + h / 2 - edge / 2, 0), height - edge);
  const canvas = make("canvas", { width: side, height: side, role: "img", "aria-label": t("yours") });
  const parts = [left, top, edge, edge].map((it) => it * scale);
  canvas.getContext("2d").drawImage(image, ...parts, 0, 0, side, side);
  return canvas;
}

/// A name as people read it; the names of all where a face is of several.
export const shown = (name) => [name ?? ""].flat().map((it) => String(it).replaceAll("_", " ")).filter((it) => it !== "").join(", ") || t("unnamed");

/// A picture of the server, or the first letters of the name where none is kept.
export function picture(path, name, alt = shown(name)) {
  const frame = make("div", { class: "picture" });
  const letters = () => {
    const words = shown(name).split(/\s+/).slice(0, 2);
    const text = words.map((word) => [...word][0] ?? "").join("").toUpperCase();
    frame.replaceChildren(make("span", { "aria-hidden": "true" }, text));
  };
  if (!path) { letters(); return frame; }
  const image = make("img", { alt, loading: "lazy", onerror: letters });
  frame.append(image);
  // An <img> cannot show a key, so then the picture is fetched.
  if (key()) fetched(path, image, letters);
  else image.src = path;
  return frame;
}

async function fetched(path, image, otherwise) {
  try {
    const url = URL.createObjectURL(await blobOf(path));
    image.addEventListener("load", () => URL.revokeObjectURL(url), { once: true });
    image.src = url;
  } catch {
    otherwise();
  }
}

export async function blobOf(path) {
  const response = await reach(path, { headers: headers() });
  if (!response.ok) throw new Trouble(response.status, "");
  return response.blob();
}
