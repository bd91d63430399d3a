// What whoever sends acknowledged streams needs, be it a sensor or a server that forwards to another.
export { agreedOn, refusesAlpn } from '../dial.ts';
export type { Rebirth, StreamEnd } from '../spool/stream-record.ts';
export { Wakeup } from '../wakeup.ts';
export { AckSession, type SessionEnd } from './ack-session.ts';
export type { Outgoing, Piece } from './outgoing.ts';
export { WireView } from './wire-view.ts';
