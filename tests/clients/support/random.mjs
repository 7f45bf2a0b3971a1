// Random moments that can be repeated.

/** A generator of numbers from 0 to 1; its seed is printed, and taken from CALLBOARD_TEST_SEED where that is set. */
export function seeded(t) {
  const seed = Number(process.env.CALLBOARD_TEST_SEED ?? Math.floor(Math.random() * 2 ** 32));
  t.diagnostic(`CALLBOARD_TEST_SEED=${seed}`);
  let state = seed >>> 0;
  // Mulberry32 (public domain).
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
