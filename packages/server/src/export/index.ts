// What `d4 export` needs: without the rest of the server and of the client it starts in half the time, with two thirds of the heap.
export { eventsOnly } from './events-only.ts';
export { type CommandTarget, type QueueExport, runQueueExport } from './queue-export.ts';
