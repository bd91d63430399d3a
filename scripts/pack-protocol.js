/**
 * `npm run pack:protocol [-- FOLDER]`: the protocol package as others install it, JavaScript with types, in
 * `FOLDER/d4ts-protocol-<version>.tgz` (`dist` unless said). Prints the tarball's path.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { projectEnvironment } from './checks.js';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const source = join(root, 'packages', 'protocol');
const target = resolve(process.argv[2] ?? join(root, 'dist'));
const folder = join(target, 'protocol');

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
run('tsc', ['--project', join(source, 'tsconfig.pack.json'), '--outDir', join(folder, 'lib')]);
pointTypesAtScripts(join(folder, 'lib'));
copyFileSync(join(source, 'README.md'), join(folder, 'README.md'));
copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
writeFileSync(join(folder, 'package.json'), `${JSON.stringify(publishedManifest(), null, 2)}\n`);
const [packed] = JSON.parse(run('npm', ['pack', folder, '--pack-destination', target, '--json', '--loglevel=error']));
process.stdout.write(`${join(target, packed.filename)}\n`);

/**
 * tsc rewrites `./x.ts` to `./x.js` in scripts, but leaves it in their `.d.ts`.
 * @param {string} lib
 */
function pointTypesAtScripts(lib) {
  for (const name of readdirSync(lib).filter((file) => file.endsWith('.d.ts'))) {
    const types = readFileSync(join(lib, name), 'utf8');
    writeFileSync(join(lib, name), types.replaceAll(/(from |import\()'(\.[^']*)\.ts'/g, "$1'$2.js'"));
  }
}

/** The package's own package.json, but with what was compiled as its entry. */
function publishedManifest() {
  const { name, version, description, license, type } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'));
  return {
    name,
    version,
    description,
    license,
    type,
    keywords: ['d4', 'sensor', 'protocol', 'hmac'],
    exports: { '.': { types: './lib/index.d.ts', default: './lib/index.js' } },
    files: ['lib'],
    sideEffects: false,
    // crypto.hash came with these.
    engines: { node: '^20.12.0 || >=21.7.0' },
    peerDependencies: { '@types/node': '>=20' },
    peerDependenciesMeta: { '@types/node': { optional: true } },
  };
}

/**
 * @param {string} program
 * @param {string[]} args
 */
function run(program, args) {
  return execFileSync(program, args, {
    cwd: root,
    env: projectEnvironment(root),
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}
