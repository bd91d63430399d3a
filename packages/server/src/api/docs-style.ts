/** The looks of the page that describes the interface; light or dark as the browser is. */
export const DOCS_STYLE = `:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 70rem; padding: 1rem; }
code { font: 0.9em/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; list-style: none; padding: 0; }
details { border: 1px solid color-mix(in srgb, currentcolor 25%, transparent); border-radius: 0.4rem; margin: 0.4rem 0; padding: 0.4rem 0.8rem; }
summary { cursor: pointer; }
summary:focus-visible, a:focus-visible { outline: 2px solid; outline-offset: 2px; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 700; }
.table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid color-mix(in srgb, currentcolor 20%, transparent); padding: 0.3rem 0.6rem 0.3rem 0; text-align: left; vertical-align: top; }
dt { font-weight: 700; }
h3 { margin: 0.8rem 0 0.2rem; }
`;
