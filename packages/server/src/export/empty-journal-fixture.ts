import type { OpenJournalItems } from './journal-source.ts';

/** For tests: a journal in which nothing is and nothing comes. */
export const EMPTY_JOURNAL: OpenJournalItems = {
  sourceOf: (topic) => topic,
  start: async () => ({ sequence: 1, record: 0 }),
  open: async () => ({
    waiting: 0,
    take: async () => ({ items: [], streams: [], position: { sequence: 1, record: 0 }, lost: 0 }),
    position: async () => ({ sequence: 1, record: 0 }),
    release: () => {},
    onCommit: () => () => {},
    close: () => {},
  }),
};
