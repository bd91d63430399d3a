import { hash, timingSafeEqual } from 'node:crypto';
import { type EnrollAnswer, type EnrollRequest, isVersion4, type RefusalCode } from '@d4ts/protocol';
import type { Logger } from 'pino';
import { authorRole, enrolmentRights, enrolmentState } from '../../registry/enrolment-token.ts';
import type { Actor, EnrolmentToken, EnrolmentUse, Registry, Sensor, Versioned } from '../../registry/port.ts';
import { keysOf } from '../../registry/sensor-key.ts';
import { tokenHash } from '../../registry/tokens.ts';
import type { Peer } from '../connection.ts';
import { LeakyBuckets } from '../leaky-buckets.ts';

/** Enrolments of an address (IPv6: of a /64) that may be refused in a row; after that one more each 5 s. */
const ATTEMPTS = { burst: 20, perSecond: 1 / 5, buckets: 10_000 };

type Registered = EnrollAnswer & { readonly kind: 'registered' };

/** What the desk needs of the registry. */
type DeskRegistry = Pick<Registry, 'enrolments' | 'sensors' | 'types' | 'users' | 'blocks'>;

/** A token in the registry, and the key that it is kept under. */
interface Kept {
  readonly key: string;
  readonly revision: number;
  readonly token: EnrolmentToken;
}

/**
 * Registers sensors that show an enrolment token (docs/enrolment.md), one after the other. A use is counted before the
 * sensor is registered, so that a crash in between cannot make two uses of one; the same sensor, with the same key, may
 * ask again and gets the same answer.
 */
export class EnrollDesk {
  readonly #registry: DeskRegistry;
  readonly #log: Logger;
  readonly #refused = new LeakyBuckets(ATTEMPTS);
  /** Resolved when nobody is being registered. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(registry: DeskRegistry, log: Logger) {
    this.#registry = registry;
    this.#log = log;
  }

  /**
   * @param now monotonic, ms
   * @returns what to answer, or why not
   * @throws {D4Error} D4_REGISTRY_FAILED: the client may ask again
   */
  enroll(request: EnrollRequest, peer: Peer, now: number): Promise<Registered | RefusalCode> {
    if (this.#refused.isFull(peer.group, now)) return Promise.resolve('enroll-too-many-attempts');
    const result = this.#turn.then(() => this.#decide(request, peer));
    this.#turn = result.catch(() => {});
    return result.then((decided) => {
      if (typeof decided === 'string') this.#refused.add(peer.group, now);
      return decided;
    });
  }

  async #decide(request: EnrollRequest, { address }: Peer): Promise<Registered | RefusalCode> {
    const { enrolments, sensors, blocks, types } = this.#registry;
    const { uuid } = request;
    const key = tokenHash(request.secret.toString('base64url'));
    const found = enrolments.get(key);
    if (found === undefined) return 'enroll-token-unknown';
    if (!isVersion4(uuid)) return 'uuid-not-v4';
    if (blocks.get(uuid) !== undefined) return 'blocked-uuid';
    const { value: token, revision } = found;
    const use = token.uses.find(({ sensor }) => sensor === uuid);
    const type = request.type ?? token.type;
    const known = sensors.get(uuid);
    if (known !== undefined) {
      return use !== undefined && holdsKey(known.value, request.key) ? answerFor(known, type) : 'enroll-uuid-taken';
    }
    const refusal = this.#refusal(token, use);
    if (refusal !== undefined) return refusal;
    if (types.get(type) === undefined) return 'type-not-accepted';
    return answerFor(await this.#register(request, { key, revision, token }, address), type);
  }

  #refusal(token: EnrolmentToken, use: EnrolmentUse | undefined): RefusalCode | undefined {
    const state = enrolmentState(token, Date.now());
    if (state === 'revoked' || !this.#rights(token).register) return 'enroll-token-revoked';
    // It was counted, and then the server stopped.
    if (use?.registered === false) return undefined;
    // It was registered once, and removed since.
    if (state === 'used' || use !== undefined) return 'enroll-token-used';
    return state === 'expired' ? 'enroll-token-expired' : undefined;
  }

  #rights(token: EnrolmentToken): ReturnType<typeof enrolmentRights> {
    return enrolmentRights(authorRole(token, this.#registry));
  }

  async #register(request: EnrollRequest, kept: Kept, address: string): Promise<Versioned<Sensor>> {
    const { enrolments, sensors } = this.#registry;
    const { uuid: sensor } = request;
    const at = Date.now();
    const actor: Actor = { name: `enrolment ${kept.key.slice(0, 8)}`, address };
    const earlier = kept.token.uses.filter((use) => use.sensor !== sensor);
    const withUse = (registered: boolean): EnrolmentToken => ({
      ...kept.token,
      uses: [...earlier, { sensor, address, at, registered }],
    });
    const counted = await enrolments.put(kept.key, withUse(false), actor, kept.revision);
    const draft = sensorOf(request, kept.token, earlier.length + 1, this.#rights(kept.token).approve, at);
    const registered = await sensors.put(sensor, draft, actor, 0);
    await enrolments.put(kept.key, withUse(true), actor, counted.revision);
    const { state } = draft;
    this.#log.info({ sensor, state, address, by: actor.name, author: kept.token.author }, 'a sensor has enrolled');
    return registered;
  }
}

function sensorOf(
  { uuid, key, name: wanted }: EnrollRequest,
  token: EnrolmentToken,
  number: number,
  mayApprove: boolean,
  now: number,
): Sensor {
  const { tags, description, mail } = token;
  const numbered = token.maxUses === 1 || token.name === '' ? token.name : `${token.name} ${number}`;
  // Of several sensors each may have a name of its own; of one its operator has said it.
  const name = (token.maxUses === 1 ? numbered || wanted : wanted || numbered) ?? '';
  return {
    uuid,
    key: key.toString('latin1'),
    state: token.approve && mayApprove ? 'approved' : 'pending',
    ...(name !== '' && { name }),
    ...(tags.length > 0 && { tags }),
    description,
    mail,
    thirdParty: false,
    unproven: false,
    createdAt: now,
  };
}

function answerFor({ value: { uuid, state, name = '' } }: Versioned<Sensor>, type: string): Registered {
  return { kind: 'registered', uuid, state, type, name };
}

/** Whether a key is one of the sensor's, in a time that tells nothing about it. */
function holdsKey(sensor: Sensor, key: Buffer): boolean {
  const given = hash('sha256', key, 'buffer');
  const held = keysOf(sensor, Date.now()).map((each) => hash('sha256', Buffer.from(each.key, 'latin1'), 'buffer'));
  return held.some((each) => timingSafeEqual(each, given));
}
