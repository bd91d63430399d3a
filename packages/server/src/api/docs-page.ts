/** What the page needs of an OpenAPI description. */
export interface ApiDescription {
  readonly info: { readonly title: string; readonly version: string; readonly description?: string };
  readonly tags?: readonly { readonly name: string; readonly description?: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components?: { readonly schemas?: Readonly<Record<string, Schema>> };
}

interface Operation {
  readonly tags?: readonly string[];
  readonly operationId?: string;
  readonly summary?: string;
  readonly description?: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
    readonly description?: string;
    readonly schema?: Schema;
  }[];
  readonly requestBody?: { readonly content?: Content };
  readonly responses?: Readonly<Record<string, { readonly description?: string; readonly content?: Content }>>;
}

type Content = Readonly<Record<string, { readonly schema?: Schema; readonly example?: unknown }>>;

/** A JSON schema, as far as it is shown. */
interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly description?: string;
  readonly examples?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
}

/** An error that routes answer with. */
export interface DocumentedError {
  readonly code: string;
  readonly status: number;
  readonly meaning: string;
}

/** The description of the interface as one page, without any script. @returns HTML */
export function docsPage(description: ApiDescription, errors: readonly DocumentedError[], stylesheet: string): string {
  const { info } = description;
  const operations = Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([method]) => method !== 'head')
      .map(([method, operation]) => ({ path, method, operation })),
  );
  const described = new Map(description.tags?.map(({ name, description: about = '' }) => [name, about]));
  const used = operations.flatMap(({ operation }) => operation.tags ?? []);
  const tags = [...new Set([...described.keys(), ...used])].map((name) => ({ name, about: described.get(name) ?? '' }));
  const sections = tags.map(({ name, about }) => {
    const own = operations.filter(({ operation }) => operation.tags?.includes(name));
    if (own.length === 0) return '';
    return `<section id="${escaped(name)}"><h2>${escaped(name)}</h2><p>${escaped(about)}</p>${own.map(operationHtml).join('')}</section>`;
  });
  const schemas = Object.entries(description.components?.schemas ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(info.title)}: HTTP interface</title><link rel="stylesheet" href="${escaped(stylesheet)}"></head>
<body>
<header><h1>${escaped(info.title)}: HTTP interface</h1><p>Version ${escaped(info.version)}. ${escaped(info.description ?? '')}</p>
<p>For programs: <a href="/api/v1/openapi.json">openapi.json</a> (OpenAPI 3.1)</p>
<nav aria-label="Sections"><ul>${[...tags.map(({ name }) => name), 'errors', 'schemas'].map((name) => `<li><a href="#${escaped(name)}">${escaped(name)}</a></li>`).join('')}</ul></nav></header>
<main>${sections.join('\n')}
<section id="errors"><h2>errors</h2><p>Every error is <code>{"error": {"code", "message"}}</code>. Codes are stable; messages are for people.</p>
<div class="table"><table><thead><tr><th scope="col">Code</th><th scope="col">Status</th><th scope="col">Meaning</th></tr></thead><tbody>
${errors.map(({ code, status, meaning }) => `<tr><td><code>${escaped(code)}</code></td><td>${status}</td><td>${escaped(meaning)}</td></tr>`).join('\n')}
</tbody></table></div></section>
<section id="schemas"><h2>schemas</h2>
${schemas.map(([name, schema]) => `<details id="schema-${escaped(name)}"><summary><code>${escaped(name)}</code></summary>${schemaHtml(schema)}</details>`).join('\n')}
</section></main></body></html>
`;
}

function operationHtml({ path, method, operation }: { path: string; method: string; operation: Operation }): string {
  const { operationId = '', summary = '', description = '', parameters = [], requestBody, responses = {} } = operation;
  const body = schemaOf(requestBody?.content);
  return `<details id="${escaped(operationId)}"><summary><span class="method ${escaped(method)}">${escaped(method.toUpperCase())}</span>
<code>${escaped(path)}</code> <span>${escaped(summary)}</span></summary>
<p>${escaped(description)} <code>${escaped(operationId)}</code></p>
${parameters.length === 0 ? '' : `<h3>Parameters</h3>${rowsHtml(parameters.map(({ name, in: place, required, description: about, schema = {} }) => ({ name: `${name} (${place})`, isRequired: required === true, schema: { ...schema, ...(about !== undefined && { description: about }) } })))}`}
${body === undefined ? '' : `<h3>Body</h3>${schemaHtml(body)}${bodyHtml(requestBody?.content)}`}
<h3>Answers</h3><dl>${Object.entries(responses)
    .map(([status, { description: about = '', content }]) => {
      const schema = schemaOf(content);
      return `<dt>${escaped(status)}</dt><dd>${escaped(about)} ${schema === undefined ? '' : typeHtml(schema)}${bodyHtml(content)}</dd>`;
    })
    .join('')}</dl></details>`;
}

function schemaOf(content: Content | undefined): Schema | undefined {
  return Object.values(content ?? {})[0]?.schema;
}

/** An example of a whole body. */
function bodyHtml(content: Content | undefined): string {
  const example = Object.values(content ?? {})[0]?.example;
  if (example === undefined) return '';
  const text = typeof example === 'string' ? example : JSON.stringify(example, null, 2);
  return `<details><summary>Example</summary><pre>${escaped(text)}</pre></details>`;
}

function schemaHtml(schema: Schema): string {
  const { properties, required = [] } = schema;
  if (properties === undefined) return `<p>${typeHtml(schema)}</p>`;
  return rowsHtml(
    Object.entries(properties).map(([name, property]) => ({
      name,
      isRequired: required.includes(name),
      schema: property,
    })),
  );
}

function rowsHtml(rows: readonly { name: string; isRequired: boolean; schema: Schema }[]): string {
  return `<div class="table"><table><thead><tr><th scope="col">Name</th><th scope="col">Type</th><th scope="col">Meaning</th></tr></thead><tbody>${rows
    .map(
      ({ name, isRequired, schema }) =>
        `<tr><td><code>${escaped(name)}</code>${isRequired ? ' <small>required</small>' : ''}</td><td>${typeHtml(schema)}</td><td>${escaped(schema.description ?? '')}${exampleHtml(schema)}</td></tr>`,
    )
    .join('')}</tbody></table></div>`;
}

function exampleHtml({ examples = [] }: Schema): string {
  return examples.length === 0 ? '' : ` Example: <code>${escaped(JSON.stringify(examples[0]))}</code>`;
}

/** A type in words, with links to the named ones. */
function typeHtml(schema: Schema): string {
  const name = schema.$ref?.split('/').at(-1);
  if (name !== undefined) return `<a href="#schema-${escaped(name)}">${escaped(name)}</a>`;
  if (schema.enum !== undefined)
    return schema.enum.map((value) => `<code>${escaped(String(value))}</code>`).join(' | ');
  if (schema.const !== undefined) return `<code>${escaped(JSON.stringify(schema.const))}</code>`;
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeHtml).join(' or ');
  if (schema.items !== undefined) return `list of ${typeHtml(schema.items)}`;
  if (schema.properties !== undefined) {
    return `{ ${Object.entries(schema.properties)
      .map(([key, value]) => `${escaped(key)}: ${typeHtml(value)}`)
      .join(', ')} }`;
  }
  const values = Object.values(schema.patternProperties ?? {})[0];
  if (values !== undefined) return `map to ${typeHtml(values)}`;
  const type = typeof schema.type === 'string' ? schema.type : (schema.type ?? ['anything']).join(' or ');
  return `${escaped(type)}${boundsText(schema)}`;
}

function boundsText({ minimum, maximum, minLength, maxLength }: Schema): string {
  const least = minimum ?? minLength;
  const most = maximum ?? maxLength;
  if (most === undefined || most === Number.MAX_SAFE_INTEGER)
    return least === undefined || least === 0 ? '' : `, at least ${least}`;
  return `, ${least === undefined ? 'at most' : `${least} to`} ${most}${maxLength === undefined ? '' : ' characters'}`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
