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
  plugins: [preloaded(), compressed()],
  html: { cspNonce: 'D4_NONCE' },
  build: {
    target: 'es2023',
    // A data: address would need a content security policy that allows them.
    assetsInlineLimit: 0,
    sourcemap: false,
    // One style sheet, which is there before anything is drawn: no file that is loaded later waits for its own.
    cssCodeSplit: false,
    // Every browser that runs the pages knows module preloading.
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 700,
    rolldownOptions: {
      output: {
        codeSplitting: {
          // Few files, so that fetching them is quick; the router by itself, as the first thing drawn does without it.
          groups: [
            // Before what the components say of themselves, which is to hold where both say something.
            { name: 'styles', test: /(?<!\.module)\.css$/, priority: 2 },
            {
              name: 'router',
              test: /@tanstack\/(?:react-router|router-core|history|react-store|store)\//,
              priority: 1,
            },
            { name: 'shared', minShareCount: 3 },
          ],
        },
      },
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

/** What main.tsx imports once it runs, so that each is evaluated in a task of its own. */
const NEEDED = /(?:react-dom\/client\.js|src\/(?:app|pages)\.tsx)$/;

/** Names in index.html what main.tsx imports later, so that the browser fetches it at once, not one after another. */
function preloaded(): Plugin {
  return {
    name: 'd4-preloaded',
    apply: 'build',
    transformIndexHtml: {
      order: 'post',
      handler(html, { bundle = {} }) {
        const files = new Set<string>();
        const add = (file: string): void => {
          const chunk = bundle[file];
          if (chunk?.type !== 'chunk' || files.has(file)) return;
          files.add(file);
          chunk.imports.forEach(add);
        };
        for (const [file, chunk] of Object.entries(bundle)) {
          if (chunk.type === 'chunk' && NEEDED.test(chunk.facadeModuleId ?? '')) add(file);
        }
        return [...files]
          .filter((file) => !html.includes(file))
          .map((file) => ({ tag: 'link', attrs: { rel: 'modulepreload', crossorigin: true, href: `/${file}` } }));
      },
    },
  };
}
