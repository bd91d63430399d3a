import { Badge, Button, createTheme, type MantineColorsTuple, Modal, Paper, Table, Tooltip } from '@mantine/core';

/** The neutral of the dark pages: slate, not black, so that a wall screen at night does not glare. */
const DARK: MantineColorsTuple = [
  '#dbe2e9',
  '#b9c3cd',
  '#94a0ad',
  '#66727f',
  '#3b4651',
  '#2c353f',
  '#212932',
  '#171e25',
  '#11171d',
  '#0b1015',
];

const ACCENT: MantineColorsTuple = [
  '#e3f6fa',
  '#c4e9f1',
  '#93d5e3',
  '#5dbfd3',
  '#38abc2',
  '#1f9cb5',
  '#118aa3',
  '#0d7a91',
  '#0b6b80',
  '#07586a',
];

/** What the reader's system writes its own windows with. */
export const FONTS = "system-ui, 'Segoe UI', -apple-system, Roboto, 'Noto Sans', sans-serif";

/** How everything looks; the rest of it is style.css. */
export const theme = createTheme({
  primaryColor: 'accent',
  primaryShade: { light: 8, dark: 8 },
  colors: { dark: DARK, accent: ACCENT },
  // The reader's own: no font is bundled, and none is fetched.
  fontFamily: FONTS,
  fontFamilyMonospace:
    "ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', 'DejaVu Sans Mono', monospace",
  headings: { fontWeight: '620', sizes: { h1: { fontSize: '1.375rem' }, h2: { fontSize: '1rem' } } },
  defaultRadius: 'md',
  cursorType: 'pointer',
  respectReducedMotion: true,
  components: {
    Badge: Badge.extend({ defaultProps: { tt: 'none', fw: 500 } }),
    Button: Button.extend({ defaultProps: { size: 'sm' } }),
    Paper: Paper.extend({ defaultProps: { withBorder: true } }),
    Table: Table.extend({
      defaultProps: { verticalSpacing: 6, horizontalSpacing: 'sm', borderColor: 'var(--d4-line-soft)' },
      styles: { th: { fontWeight: 450 } },
    }),
    Tooltip: Tooltip.extend({ defaultProps: { openDelay: 300, withArrow: true, multiline: true, maw: 360 } }),
    Modal: Modal.extend({
      defaultProps: {
        overlayProps: { backgroundOpacity: 0.45 },
        transitionProps: { duration: 120 },
        // It is a <header>, which outside of the page's parts would be a second banner.
        attributes: { header: { role: 'presentation' } },
      },
    }),
  },
});
