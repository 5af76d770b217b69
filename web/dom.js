// Small builders. Whatever is put in is text, never markup: names and payloads come from whoever
// filled the database.

export const byId = (id) => document.getElementById(id);

/// An element with attributes, listeners (`onclick` and the like) and children.
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const button = (text, onclick, style = "button quiet", more = {}) =>
  make("button", { type: "button", class: style, onclick, ...more }, text);

/// A modal dialog that gives the focus back when it closes, and is gone then.
export function dialog(title, ...children) {
  const heading = make("h2", { id: "dialog-title" }, title);
  const box = make("dialog", { "aria-labelledby": "dialog-title" }, heading, ...children);
  const before = document.activeElement;
  box.addEventListener("close", () => {
    box.remove();
    if (before?.isConnected) before.focus();
  });
  document.body.append(box);
  box.showModal();
  return box;
}

/// Says something to those who cannot see what has changed.
export function announce(text) {
  byId("said").textContent = text;
}

/// Offers a file for keeping.
export function keep(blob, name) {
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
