/**
 * What a JSON schema says to a person who has to type a value: a skeleton to begin with, and a
 * list of the fields.
 */

const DEEP = 6; // A schema may refer to itself; nobody wants to edit deeper skeletons anyway.

/** A value that fits `schema` as far as the schema itself can tell; defaults and examples come first. */
export function skeleton(schema, root = schema, depth = 0) {
  const node = resolve(schema, root);
  if ("default" in node) return node.default;
  if ("const" in node) return node.const;
  if (node.examples?.length) return node.examples[0];
  if (node.enum?.length) return node.enum[0];
  if (depth > DEEP) return null;
  const choices = node.anyOf ?? node.oneOf;
  if (choices) return choices.some((one) => one.type === "null") ? null : skeleton(choices[0], root, depth + 1);
  switch (Array.isArray(node.type) ? node.type[0] : node.type) {
    case "string":
      return "";
    case "integer":
    case "number":
      return node.minimum ?? (node.exclusiveMinimum === undefined ? 0 : node.exclusiveMinimum + 1);
    case "boolean":
      return false;
    case "array":
      return listOf(node, root, depth);
    case "object":
      return objectOf(node, root, depth);
    default:
      return node.properties ? objectOf(node, root, depth) : null;
  }
}

function objectOf(node, root, depth) {
  const entries = Object.entries(node.properties ?? {});
  return Object.fromEntries(entries.map(([name, inner]) => [name, skeleton(inner, root, depth + 1)]));
}

function listOf(node, root, depth) {
  const first = node.prefixItems ?? Array(Math.min(node.minItems ?? 0, 10)).fill(node.items ?? {});
  return first.map((inner) => skeleton(inner, root, depth + 1));
}

/** The fields of an object schema: name, type in words, whether required, first line of the description. */
export function fields(schema) {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).map(([name, inner]) => {
    const node = resolve(inner, schema);
    return {
      name,
      type: typeName(inner, schema),
      required: required.has(name),
      description: (inner.description ?? node.description ?? "").split("\n")[0],
    };
  });
}

function typeName(schema, root) {
  const node = resolve(schema, root);
  if (node.enum) return node.enum.map((one) => JSON.stringify(one)).join(" | ");
  if ("const" in node) return JSON.stringify(node.const);
  const choices = node.anyOf ?? node.oneOf;
  if (choices) return choices.map((one) => typeName(one, root)).join(" | ");
  if (node.type === "array") return node.items ? `list of ${typeName(node.items, root)}` : "list";
  if (node.type === "object") return node.title ?? "object";
  return String(node.type ?? "any");
}

/** Follow `$ref`s into `root`; the siblings of a reference (a default, a description) win. */
function resolve(schema, root) {
  let node = schema;
  for (let hops = 0; hops < DEEP && (node.$ref || node.allOf?.length === 1); hops += 1) {
    const { $ref, allOf, ...siblings } = node;
    const target = $ref ? lookup($ref, root) : allOf[0];
    node = { ...target, ...siblings };
  }
  return node;
}

function lookup(reference, root) {
  const names = reference.replace(/^#\//, "").split("/");
  return names.reduce((node, name) => node?.[name.replaceAll("~1", "/").replaceAll("~0", "~")], root) ?? {};
}

/** The text to begin with where an object of this schema is to be typed. */
export const prefilled = (schema) => JSON.stringify((schema && skeleton(schema)) ?? {}, null, 2);

/**
 * The schemas of the events that a person may send to a run: answers first, then those that no step
 * declares (the program added them for people to send), the others, and what begins or ends a run last.
 */
export function sendable(details) {
  if (!details?.events || !details.answers) return [];
  const rank = ({ title }) => {
    if (details.answers.includes(title) || title === "HumanResponseEvent") return 0;
    if (!details.declared.includes(title)) return 1;
    return title === "StopEvent" || title === details.start?.title ? 3 : 2;
  };
  const ranked = details.events.map((schema) => ({ schema, rank: rank(schema) }));
  return ranked.sort((a, b) => a.rank - b.rank).map((one) => one.schema);
}
