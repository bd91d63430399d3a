import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import { importSpecifiers } from './import-specifiers.ts';

/** Which of our packages each may import (docs/design.md, Layout). */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  client: ['protocol'],
  server: ['protocol'],
  cli: ['client', 'server', 'protocol'],
  web: [],
  testkit: ['protocol'],
};

const READERS_OF_THE_JOURNAL = ['journal', 'registry', 'formats'];
/**
 * Which parts of the server each may import. What is not listed here (`index.ts`, `server.ts`, `config`, `home`) puts
 * the parts together: it may import all of them, and none of them may import it.
 */
const SERVER_PARTS: Readonly<Record<string, readonly string[]>> = {
  journal: [],
  registry: [],
  formats: [],
  ingest: READERS_OF_THE_JOURNAL,
  archive: READERS_OF_THE_JOURNAL,
  queues: READERS_OF_THE_JOURNAL,
  export: READERS_OF_THE_JOURNAL,
  monitor: READERS_OF_THE_JOURNAL,
  maltrail: READERS_OF_THE_JOURNAL,
  retention: ['journal', 'registry', 'archive', 'queues'],
  api: ['journal', 'registry', 'formats', 'archive', 'queues', 'export', 'monitor', 'maltrail', 'retention'],
};
/** What only the API may import beside them: what ingest shows of itself, what the running server does, how tar is written. */
const OPEN_TO_API = [
  'packages/server/src/ingest/port.ts',
  'packages/server/src/server-facts.ts',
  'packages/server/src/tar-entry.ts',
];

/** A server that forwards to another is a sensor of it: this part of the server sends streams as the client does. */
const FORWARDING = { part: 'export', entryPoint: '@d4ts/client/acknowledged' };

/** What only tests may import, beside what the root package.json has for development. */
const TEST_PACKAGES = ['@d4ts/testkit', '@d4ts/protocol'];

interface Manifest {
  readonly name: string;
  readonly dependencies: ReadonlySet<string>;
  /** What may be imported of it, e.g. `@d4ts/server` and `@d4ts/server/journal`. */
  readonly entryPoints: ReadonlySet<string>;
}

/** A file that imports another, with what is known of the place of the import. */
interface Importer {
  /** Path from the repository's root, with `/`. */
  readonly file: string;
  readonly isTest: boolean;
  /** The folder in `packages/` that it belongs to; undefined for `test/`, `bench/`, `demo/`. */
  readonly owner: string | undefined;
}

/**
 * Checks every TypeScript file in `packages/`, `test/`, `bench/` and `demo/` against the rules of who may import whom, by the files that the
 * imports lead to.
 * @param root the repository's folder, absolute
 * @returns one sentence for each violation; none is what should be
 */
export function dependencyViolations(root: string): string[] {
  const manifests = readManifests(root);
  const rootDependencies = readManifest(join(root, 'package.json')).dependencies;
  const violations: string[] = [];
  for (const file of sourceFiles(root)) {
    const importer: Importer = { file, isTest: isTestFile(file), owner: ownerOf(file) };
    for (const { specifier, line } of importSpecifiers(readFileSync(join(root, file), 'utf8'))) {
      const why = specifier?.startsWith('.')
        ? relativeViolation(root, importer, specifier)
        : packageViolation(importer, specifier, manifests, rootDependencies);
      if (why !== undefined) violations.push(`${file}:${line}: ${why}`);
    }
  }
  return violations;
}

/** Every file that the rules are about, from the root. */
export function sourceFiles(root: string): string[] {
  const files = ['packages', 'test', 'bench', 'demo'].flatMap((folder) =>
    existsSync(join(root, folder))
      ? readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name))
      : [],
  );
  return files
    .map((file) => file.split(sep).join('/'))
    .filter((file) => /\.tsx?$/.test(file) && !/(^|\/)(node_modules|dist)\//.test(file))
    .sort();
}

function relativeViolation(root: string, importer: Importer, specifier: string): string | undefined {
  const target = relative(root, join(root, dirname(importer.file), specifier))
    .split(sep)
    .join('/');
  if (!existsSync(join(root, target))) return `'${specifier}' leads to no file`;
  if (importer.owner === undefined) return undefined;
  if (ownerOf(target) !== importer.owner) return `'${specifier}' leaves the package: import '@d4ts/…' by name`;
  if (importer.isTest) return undefined;
  if (isTestFile(target)) return `'${specifier}' is there for tests only`;
  return importer.owner === 'server' ? serverViolation(importer.file, target) : undefined;
}

function serverViolation(file: string, target: string): string | undefined {
  const from = serverPart(file);
  const to = serverPart(target);
  if (from === undefined || from === to || (from === 'api' && OPEN_TO_API.includes(target))) return undefined;
  if (to === undefined) return `${from} may not import ${target}, which puts the parts together`;
  return SERVER_PARTS[from]?.includes(to) ? undefined : `${from} may not import ${target}, which is of ${to}`;
}

function packageViolation(
  importer: Importer,
  specifier: string | undefined,
  manifests: ReadonlyMap<string, Manifest>,
  rootDependencies: ReadonlySet<string>,
): string | undefined {
  const forTests = importer.isTest || importer.owner === undefined || importer.owner === 'testkit';
  if (specifier === undefined) return forTests ? undefined : 'an import() whose module is computed cannot be checked';
  if (isBuiltin(specifier)) {
    return specifier === 'node:test' && !forTests ? "'node:test' is there for tests only" : undefined;
  }
  const name = packageName(specifier);
  const owner = [...manifests.values()].find((manifest) => manifest.name === name);
  const own = owner !== undefined;
  if (owner !== undefined && !owner.entryPoints.has(specifier))
    return `'${specifier}' reaches into ${name}: import '${name}'`;
  if (importer.owner === undefined) {
    return own || rootDependencies.has(name) || isDeclaredAnywhere(name, manifests) ? undefined : undeclared(name);
  }
  const manifest = manifests.get(importer.owner);
  if (importer.isTest && (TEST_PACKAGES.includes(name) || rootDependencies.has(name))) return undefined;
  const forwards = specifier === FORWARDING.entryPoint && serverPart(importer.file) === FORWARDING.part;
  if (own && !forwards && !PACKAGES[importer.owner]?.includes(name.replace('@d4ts/', ''))) {
    return `${importer.owner} may not import ${name}`;
  }
  return manifest?.dependencies.has(name) ? undefined : undeclared(name);
}

function undeclared(name: string): string {
  return `'${name}' is not among the dependencies in package.json`;
}

function isDeclaredAnywhere(name: string, manifests: ReadonlyMap<string, Manifest>): boolean {
  return [...manifests.values()].some((manifest) => manifest.dependencies.has(name));
}

/** `name` or `@scope/name` of a specifier that may go on with a path. */
function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** A test, a contract that the tests of several adapters call (`…contract.ts`), or what tests share (`…fixture.ts`). */
function isTestFile(file: string): boolean {
  return /(\.test|\.fuzz|[/-]contract|[/-]fixture)\.ts$/.test(file);
}

function ownerOf(file: string): string | undefined {
  return /^packages\/([^/]+)\//.exec(file)?.[1];
}

/** The part of the server that a file belongs to; undefined for those that put the parts together. */
function serverPart(file: string): string | undefined {
  const folder = /^packages\/server\/src\/([^/]+)\//.exec(file)?.[1];
  return folder !== undefined && Object.hasOwn(SERVER_PARTS, folder) ? folder : undefined;
}

function readManifests(root: string): Map<string, Manifest> {
  const manifests = new Map<string, Manifest>();
  for (const folder of readdirSync(join(root, 'packages'))) {
    const file = join(root, 'packages', folder, 'package.json');
    if (existsSync(file)) manifests.set(folder, readManifest(file));
  }
  return manifests;
}

function readManifest(file: string): Manifest {
  const {
    name,
    dependencies = {},
    devDependencies = {},
    peerDependencies = {},
    exports = { '.': '' },
  } = JSON.parse(readFileSync(file, 'utf8'));
  return {
    name,
    dependencies: new Set([dependencies, devDependencies, peerDependencies].flatMap((listed) => Object.keys(listed))),
    entryPoints: new Set(Object.keys(exports).map((path) => name + path.slice(1))),
  };
}
