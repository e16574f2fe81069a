"use strict";

/** An element; text is always set as text, so nothing that the API answers can become markup. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function resolve(api, shape) {
  if (!shape.$ref) return shape;
  return shape.$ref.split("/").slice(1).reduce((place, part) => place[part], api);
}

/** A schema as the text of an example: names, types and bounds, `?` where a field may be left out. */
function outline(api, shape, depth = 0) {
  const schema = resolve(api, shape ?? {});
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map((choice) => outline(api, choice, depth)).join(" | ");
  if (schema.allOf) return outline(api, schema.allOf[0], depth);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.type === "array") return `[${outline(api, schema.items, depth)}]`;
  if (schema.properties) return outlineFields(api, schema, depth);
  const bounds = [schema.minimum, schema.maximum].some((bound) => bound !== undefined)
    ? ` ${schema.minimum ?? ""}..${schema.maximum ?? ""}` : "";
  return [].concat(schema.type ?? "anything").join(" | ") + (schema.format ? ` (${schema.format})` : "") + bounds;
}

function outlineFields(api, schema, depth) {
  if (depth > 5) return "{…}";
  const indent = "  ".repeat(depth + 1);
  const lines = Object.entries(schema.properties).map(([name, field]) => {
    const mark = schema.required?.includes(name) ? "" : "?";
    const note = field.description ? `  // ${field.description.replace(/\s+/g, " ")}` : "";
    return `${indent}${name}${mark}: ${outline(api, field, depth + 1)}${note}`;
  });
  return `{\n${lines.join("\n")}\n${"  ".repeat(depth)}}`;
}

/** A body to start from. */
function example(api, shape, depth = 0) {
  const schema = resolve(api, shape ?? {});
  if (schema.examples) return schema.examples[0];
  if (schema.default !== undefined) return schema.default;
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  const choice = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (choice) return example(api, choice[0], depth);
  if (schema.properties && depth < 4) {
    const fields = Object.entries(schema.properties).map(([name, field]) => [name, example(api, field, depth + 1)]);
    return Object.fromEntries(fields);
  }
  const simple = { array: [], object: {}, integer: schema.minimum ?? 1, number: schema.minimum ?? 1, boolean: false };
  if (schema.format === "uuid") return crypto.randomUUID();
  return simple[schema.type] ?? "";
}

function parameterField(parameter) {
  const { description, schema, required, name, in: place } = parameter;
  const input = make("input", { name, "data-in": place });
  input.required = required;
  if (schema.default !== undefined) input.placeholder = String(schema.default);
  const hint = make("small", {}, ` ${outline({}, schema)}${description ? ` — ${description}` : ""}`);
  return make("label", {}, make("span", {}, name), input, hint);
}

function requestOf(path, method, form) {
  const query = new URLSearchParams();
  for (const input of form.querySelectorAll("input[data-in]")) {
    if (input.dataset.in === "path") path = path.replace(`{${input.name}}`, encodeURIComponent(input.value));
    else if (input.value !== "") query.set(input.name, input.value);
  }
  const headers = {};
  const credentials = document.getElementById("credentials").value.trim();
  if (credentials) headers.Authorization = `Bearer ${credentials}`;
  const body = form.querySelector("textarea")?.value;
  if (body) headers["Content-Type"] = "application/json";
  return [path + (query.size ? `?${query}` : ""), { method, headers, body }];
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

async function send(path, method, form, answer) {
  const [url, request] = requestOf(path, method.toUpperCase(), form);
  const began = performance.now();
  try {
    const response = await fetch(url, request);
    const text = await response.text();
    const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    const milliseconds = Math.round(performance.now() - began);
    answer.textContent = `${response.status} in ${milliseconds} ms\n${headers}\n\n${pretty(text)}`;
  } catch (error) {
    answer.textContent = `No answer: ${error.message}`;
  }
}

function answers(api, operation) {
  return Object.entries(operation.responses).flatMap(([status, response]) => {
    const { description, content = {} } = resolve(api, response);
    const [[type, media] = []] = Object.entries(content);
    const shape = type === "application/json" ? outline(api, media.schema) : type ?? "";
    return make("details", {}, make("summary", {}, `${status} ${description}`), make("pre", {}, shape));
  });
}

function operationView(api, path, method, operation) {
  const form = make("form");
  if (operation.description) form.append(make("p", {}, operation.description));
  form.append(...(operation.parameters ?? []).map(parameterField));
  const shape = operation.requestBody?.content["application/json"].schema;
  if (shape) {
    const body = make("textarea", { "aria-label": "Request body", spellcheck: "false" });
    body.value = JSON.stringify(example(api, shape), null, 2);
    const fields = make("details", {}, make("summary", {}, "Fields of the body"), make("pre", {}, outline(api, shape)));
    form.append(make("h3", {}, "Body"), body, fields);
  }
  const answer = make("pre", { "aria-live": "polite" });
  answer.hidden = true;
  form.append(make("button", {}, "Send"), answer);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    answer.hidden = false;
    answer.textContent = "Asking…";
    send(path, method, form, answer);
  });
  const title = make("summary", operation.security ? { class: "admin" } : {},
    make("span", { class: "method" }, method.toUpperCase()), make("code", {}, path), ` ${operation.summary ?? ""}`);
  return make("details", { class: "operation", id: operation.operationId }, title, form,
    make("div", {}, make("h3", {}, "Answers"), ...answers(api, operation)));
}

function show(api) {
  const byTag = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const [tag] = operation.tags;
      if (!byTag.has(tag)) byTag.set(tag, []);
      byTag.get(tag).push(operationView(api, path, method, operation));
    }
  }
  const sections = [...byTag].map(([tag, views]) => make("section", {}, make("h2", {}, tag), ...views));
  document.getElementById("about").textContent = `Version ${api.info.version}, OpenAPI ${api.openapi}`;
  document.getElementById("operations").replaceChildren(...sections);
  document.getElementById("operations").removeAttribute("aria-busy");
  document.getElementById(location.hash.slice(1))?.setAttribute("open", "");
}

fetch("/openapi.json")
  .then((response) => response.json())
  .then(show)
  .catch((error) => document.getElementById("operations").replaceChildren(`Not loaded: ${error.message}`));
