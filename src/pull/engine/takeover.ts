/** Which lane to relieve when others have nothing left to do. */
import type { Lane } from "./lane.ts";

/** Bytes that are worth a request of their own, and where they would come very slowly. */
const MIN_SHARE = 512 * 1024;
const MIN_SLOW_SHARE = 64 * 1024;
/** Milliseconds that a lane may still need alone. */
const PATIENCE = 2000;
/** Milliseconds after which a lane counts as stuck. */
const STUCK = 5000;

export interface Takeover {
  readonly lane: Lane;
  /** Where it is to end. */
  readonly end: number;
}

/**
 * The lane that would end last, and where another could take over from it.
 *
 * @param now as `performance.now()`
 * @param requestStall milliseconds after which a lane would be given up anyway
 */
export function findTakeover(
  lanes: Iterable<Lane>,
  now: number,
  requestStall: number,
): Takeover | undefined {
  let slowest: Takeover | undefined;
  let longest = PATIENCE;
  for (const lane of lanes) {
    if (lane.isYielding || lane.download.isStream) continue;
    const isStuck = now - lane.lastMoved > Math.min(STUCK, requestStall);
    const remaining = isStuck ? Number.POSITIVE_INFINITY : lane.remaining(now);
    if (remaining <= longest || (!isStuck && now - lane.startedAt < PATIENCE)) continue;
    const share = remaining > STUCK ? MIN_SLOW_SHARE : MIN_SHARE;
    if (!isStuck && lane.left < 2 * share) continue;
    longest = remaining;
    // A stuck one keeps nothing, whatever it may still send.
    slowest = { lane, end: isStuck ? lane.position : lane.end - Math.floor(lane.left / 2) };
  }
  return slowest;
}
