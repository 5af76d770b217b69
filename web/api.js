// The way to the server: the key, errors, patience, progress.

const KEY = "doppel-api-key";

export const key = () => sessionStorage.getItem(KEY);
export function useKey(value) {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
}

/// What the server refuses, or 0 where it does not answer.
export class Trouble extends Error {
  constructor(status, message, { retryAfter = 1, shortOf } = {}) {
    super(message);
    Object.assign(this, { status, retryAfter, shortOf });
  }
}

export function headers(more = {}) {
  const shown = key();
  return shown ? { ...more, "api-key": shown } : more;
}

export const at = (collection, rest = "") => `/collections/${encodeURIComponent(collection)}${rest}`;

function told(status, text, retryAfter) {
  let body = null;
  try { body = JSON.parse(text); } catch { /* a refused key is answered in plain text */ }
  if (status >= 200 && status < 300 && body) return body.result;
  throw new Trouble(status, body?.status?.error ?? text, { retryAfter: Number(retryAfter) || 1, shortOf: body?.status?.short_of });
}

/// The response as it is, where the server answers at all.
export async function reach(path, options = {}) {
  try {
    return await fetch(path, { ...options, headers: headers(options.headers) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble(0, "");
  }
}

/// The `result` of an answer; `body` goes as JSON.
export async function ask(method, path, body, options = {}) {
  const sent = body === undefined ? {} : {
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
  };
  const response = await reach(path, { method, ...sent, ...options });
  return told(response.status, await response.text(), response.headers.get("retry-after"));
}

/// The same for a form; `progress` is told the part that has gone, 0 to 1.
export function send(path, form, { signal, progress }) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const request = new XMLHttpRequest();
    request.open("POST", path);
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) progress(event.loaded / event.total);
    });
    request.addEventListener("load", () => {
      try {
        resolve(told(request.status, request.responseText, request.getResponseHeader("retry-after")));
      } catch (trouble) { reject(trouble); }
    });
    request.addEventListener("error", () => reject(new Trouble(0, "")));
    request.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
    signal?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

/// Runs a task; while the server is busy it is tried again, each time a little later.
export async function patiently(task, waiting, signal, tries = 4) {
  try {
    return await task();
  } catch (trouble) {
    const busy = trouble.status === 503 || trouble.status === 429;
    if (!busy || tries === 0 || signal?.aborted) throw trouble;
    const wait = Math.min(trouble.retryAfter * 2 ** (4 - tries), 15);
    for (let left = wait; left > 0; left -= 1) {
      waiting(Math.ceil(left));
      await new Promise((resolve) => { setTimeout(resolve, Math.min(left, 1) * 1000); });
      if (signal?.aborted) throw new DOMException("", "AbortError");
    }
    return patiently(task, waiting, signal, tries - 1);
  }
}

/// Collections that take photos, the largest first.
export async function collections() {
  const { collections: all } = await ask("GET", "/collections");
  return all.filter((it) => it.embedder).sort((a, b) => b.points_count - a.points_count);
}

export const imageOf = (collection, id) => at(collection, `/faces/${encodeURIComponent(id)}/image`);
