// Shows /openapi.json and tries its operations out. Everything is put in as text, never as HTML.
'use strict';

function element(name, text, parent) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

function field(parent, label, value) {
  const outer = element('label', label + ' ', parent);
  const input = element('input', '', outer);
  input.value = value;
  return input;
}

function schemaText(api, schema) {
  const name = schema && schema.$ref && schema.$ref.split('/').pop();
  return JSON.stringify(name ? api.components.schemas[name] : schema, null, 2);
}

function details(parent, title, text) {
  const outer = element('details', '', parent);
  element('summary', title, outer);
  element('pre', text, outer);
}

async function send(method, url, body, type, out) {
  const headers = {};
  const key = document.getElementById('key').value;
  if (key) headers['api-key'] = key;
  if (body !== undefined) headers['content-type'] = type;
  out.textContent = 'Sending…';
  try {
    const answer = await fetch(url, { method, headers, body });
    const text = await answer.text();
    let shown = text;
    try {
      shown = JSON.stringify(JSON.parse(text), null, 2);
    } catch (_) { /* Not JSON: shown as it is. */ }
    out.textContent = `${answer.status}\n${shown.slice(0, 20000)}`;
  } catch (error) {
    out.textContent = String(error);
  }
}

function tryOut(parent, path, method, operation, json) {
  const form = element('form', '', parent);
  const inputs = (operation.parameters || []).map((parameter) => ({
    parameter,
    input: field(form, parameter.name, parameter.example === undefined ? '' : parameter.example),
  }));
  let body;
  if (json) {
    const outer = element('label', 'Body ', form);
    body = element('textarea', '', outer);
    body.rows = 8;
    body.cols = 60;
    body.value = JSON.stringify(json.example || {}, null, 2);
  }
  element('button', 'Send', form);
  const out = element('pre', '', form);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    let url = path;
    const query = new URLSearchParams();
    for (const { parameter, input } of inputs) {
      if (parameter.in === 'path') {
        url = url.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      } else if (input.value) {
        query.set(parameter.name, input.value);
      }
    }
    const search = query.toString();
    send(method.toUpperCase(), search ? `${url}?${search}` : url, body && body.value,
      'application/json', out);
  });
}

function show(api, parent, path, method, operation) {
  const outer = element('details', '', parent);
  outer.id = operation.operationId;
  const summary = element('summary', '', outer);
  element('code', `${method.toUpperCase()} ${path}`, summary);
  element('p', operation.summary, outer);
  const content = operation.requestBody ? operation.requestBody.content : {};
  for (const [type, media] of Object.entries(content)) {
    details(outer, `Body: ${type}`, schemaText(api, media.schema));
  }
  for (const [status, answer] of Object.entries(operation.responses)) {
    const media = Object.values(answer.content || {})[0] || {};
    const text = media.example ? JSON.stringify(media.example, null, 2) : '';
    details(outer, `${status}: ${answer.description}`, text);
  }
  tryOut(outer, path, method, operation, content['application/json']);
}

async function load() {
  const root = document.getElementById('operations');
  const api = await (await fetch('/openapi.json')).json();
  root.textContent = '';
  for (const tag of api.tags) {
    const section = element('section', '', root);
    section.className = 'panel';
    element('h2', tag.name, section);
    for (const [path, methods] of Object.entries(api.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        if (operation.tags.includes(tag.name)) show(api, section, path, method, operation);
      }
    }
  }
}

load().catch((error) => {
  document.getElementById('operations').textContent = String(error);
});
