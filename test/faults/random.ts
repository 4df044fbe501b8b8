/** Random numbers that can be had again. */

/**
 * Numbers in [0, 1). Their seed is said, and `OCIREG_TEST_SEED` gives it again.
 */
export function randomFractions(count: number): number[] {
  const seed = Number(process.env["OCIREG_TEST_SEED"] ?? (Math.random() * 2 ** 31) | 0);
  process.stderr.write(`OCIREG_TEST_SEED=${seed}\n`);
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  return Array.from({ length: count }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  });
}
