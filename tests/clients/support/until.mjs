// Waiting for something to become true, with an end.

/** Pause between two looks, in milliseconds. */
const INTERVAL = 20;

/** A promise that `action` settles within `milliseconds`. */
export async function within(milliseconds, what, action) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${milliseconds} ms`)), milliseconds);
  });
  return Promise.race([action, late]).finally(() => clearTimeout(timer));
}

/** Looks until `look` answers something true, and answers that. What failed last is part of the error. */
export async function until(what, milliseconds, look) {
  const end = Date.now() + milliseconds;
  let last;
  for (;;) {
    try {
      const value = await look();
      if (value) return value;
      last = value;
    } catch (error) {
      if (error.fatal) throw error;
      last = error;
    }
    if (Date.now() > end) throw new Error(`${what}: not within ${milliseconds} ms; last: ${last?.message ?? last}`);
    await new Promise((resolve) => setTimeout(resolve, INTERVAL));
  }
}
