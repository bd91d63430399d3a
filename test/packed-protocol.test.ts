import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, suite, test } from 'node:test';

const ROOT = dirname(import.meta.dirname);

/** Encodes a frame, and decodes it byte by byte, with what was installed. */
const ROUND_TRIP = `
import { FrameDecoder, FrameEncoder, FrameHmac, HmacScratch, parseSensorId, WIRE_TYPE } from '@d4ts/protocol';

const sensor = parseSensorId('6f8a3b52-1c4d-4e7f-9a21-5d0c7be41f93');
const key = Buffer.from('a key');
const frame = new FrameEncoder({ sensor, key, version: 1 }).encode(WIRE_TYPE.lines, Buffer.from('a line'), 1800000000);
const hmac = new FrameHmac(key);
const scratch = new HmacScratch();
const decoder = new FrameDecoder({
  header: () => true,
  frame(header, payload) {
    const verified = hmac.verify(header.bytes, header.at, payload, scratch);
    console.log(JSON.stringify([header.sensor, header.type, header.timestamp, payload.toString(), verified]));
    return true;
  },
});
for (const byte of frame) decoder.push(Buffer.of(byte));
`;

suite('the packed protocol package', () => {
  const folder = mkdtempSync(join(tmpdir(), 'packed-protocol-'));
  const installed = join(folder, 'node_modules', '@d4ts', 'protocol');
  after(() => rmSync(folder, { recursive: true }));

  before(() => {
    const pack = [join(ROOT, 'scripts', 'pack-protocol.js'), join(folder, 'packed')];
    const tarball = execFileSync(process.execPath, pack, { encoding: 'utf8' }).trim();
    writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
    const install = ['install', '--offline', '--no-audit', '--no-fund', '--loglevel=error', tarball];
    execFileSync('npm', install, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  });

  test('holds no TypeScript source and no dependency', () => {
    const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
    assert.equal(manifest.dependencies, undefined);
    assert.equal(manifest.scripts, undefined);
    const index = readFileSync(join(installed, 'lib', 'index.js'), 'utf8');
    assert.doesNotMatch(index, /\.ts'/);
    assert.throws(() => readFileSync(join(installed, 'src', 'index.ts')), { code: 'ENOENT' });
  });

  test('is imported by plain Node.js, and exports what the source does', async () => {
    const list = "import('@d4ts/protocol').then((all) => console.log(JSON.stringify(Object.keys(all).sort())))";
    const exported = execFileSync(process.execPath, ['--no-strip-types', '-e', list], {
      cwd: folder,
      encoding: 'utf8',
    });
    assert.deepEqual(JSON.parse(exported), Object.keys(await import('@d4ts/protocol')).sort());
  });

  test('encodes and decodes', () => {
    writeFileSync(join(folder, 'round-trip.js'), ROUND_TRIP);
    const said = execFileSync(process.execPath, ['round-trip.js'], { cwd: folder, encoding: 'utf8' });
    assert.deepEqual(JSON.parse(said), ['6f8a3b52-1c4d-4e7f-9a21-5d0c7be41f93', 3, 1_800_000_000, 'a line', true]);
  });

  test('has types that fit, for its users and for the examples of its README', () => {
    const examples = [...readFileSync(join(installed, 'README.md'), 'utf8').matchAll(/```js\n(.*?)```/gs)];
    const [sensor, receiver] = examples.map(([, code]) => String(code));
    writeFileSync(join(folder, 'round-trip.ts'), ROUND_TRIP);
    writeFileSync(join(folder, 'sensor.ts'), String(sensor));
    writeFileSync(
      join(folder, 'receiver.ts'),
      `${receiver}\nimport type { Socket } from 'node:net';\ndeclare const socket: Socket;\n`,
    );
    writeFileSync(
      join(folder, 'wrong.ts'),
      `import { FrameEncoder } from '@d4ts/protocol';\nnew FrameEncoder('a key');\n`,
    );
    mkdirSync(join(folder, 'node_modules', '@types'), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', '@types', 'node'), join(folder, 'node_modules', '@types', 'node'));
    symlinkSync(join(ROOT, 'node_modules', 'undici-types'), join(folder, 'node_modules', 'undici-types'));
    const said = typeErrors(folder, ['round-trip.ts', 'sensor.ts', 'receiver.ts']);
    assert.equal(said, '');
    assert.match(typeErrors(folder, ['wrong.ts']), /wrong\.ts\(2,18\): error TS/);
  });
});

/** What tsc says of these files, with the strictest reading of the libraries' types too. */
function typeErrors(folder: string, files: readonly string[]): string {
  const tsc = join(ROOT, 'node_modules', '.bin', 'tsc');
  const options = ['--noEmit', '--strict', '--target', 'es2024', '--module', 'nodenext', '--types', 'node'];
  const { stdout } = spawnSync(tsc, [...options, ...files], { cwd: folder, encoding: 'utf8' });
  return stdout;
}
