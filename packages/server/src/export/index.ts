// What `d4 export` needs: it starts in a third of the time, and has a third of the memory, without the rest of the server.
export { eventsOnly } from './events-only.ts';
export { type CommandTarget, type QueueExport, runQueueExport } from './queue-export.ts';
