import '@mantine/core/styles.css';
import '@mantine/notifications/styles.css';
import 'uplot/dist/uPlot.min.css';
import './style.css';
import { styleNonce } from './style-nonce.ts';

// What stops the page behind a dialog from scrolling makes a style element, and looks for its nonce there.
Object.assign(globalThis, { __webpack_nonce__: styleNonce() });

// A page that was opened before the server was renewed asks for files that are no longer there.
addEventListener('vite:preloadError', () => location.reload());

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no #root');

// Each of these files runs in a task of its own, so that the browser is never busy for long.
const [{ createRoot }, { App }] = await Promise.all([import('react-dom/client'), import('./app.tsx')]);
// The page is fetched while the server is asked who is signed in.
const pages = import('./pages.tsx').then(({ loadPages }) => loadPages());
createRoot(root).render(<App pages={pages} />);
