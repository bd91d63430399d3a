import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';

/**
 * How the pages are bundled: into `dist`, every file but index.html under a name that changes with its content.
 * The server puts a nonce of its own in place of `D4_NONCE` in each answer (packages/server/src/api/page-routes.ts).
 */
export default defineConfig({
  root: import.meta.dirname,
  plugins: [compressed()],
  html: { cspNonce: 'D4_NONCE' },
  build: {
    target: 'es2023',
    // A data: address would need a content security policy that allows them.
    assetsInlineLimit: 0,
    sourcemap: false,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 700,
    rolldownOptions: {
      // Of what React's servers would do with a module; there are none here.
      onLog: (level, log, handle) => log.code === 'MODULE_LEVEL_DIRECTIVE' || handle(level, log),
    },
  },
});

/** Adds `.br` and `.gz` beside what is worth it, so that the server need not compress anything. */
function compressed(): Plugin {
  return {
    name: 'd4-compressed',
    apply: 'build',
    writeBundle({ dir = '' }, bundle) {
      for (const name of Object.keys(bundle).filter((each) => /\.(?:js|css|svg)$/.test(each))) {
        const source = readFileSync(join(dir, name));
        writeFileSync(
          join(dir, `${name}.br`),
          brotliCompressSync(source, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }),
        );
        writeFileSync(join(dir, `${name}.gz`), gzipSync(source));
      }
    },
  };
}
