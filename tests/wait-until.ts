const A_MINUTE = 60_000;

/**
 * Asks until `probe` returns something other than undefined or false, and returns that. An error counts as no.
 * Throws after `patience` milliseconds, with the last error, that it waited in vain for `what`.
 */
export async function waitUntil<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  patience = A_MINUTE,
): Promise<T> {
  const deadline = performance.now() + patience;
  let cause: unknown;
  while (performance.now() < deadline) {
    try {
      const found = await probe();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      cause = error;
    }
    await Bun.sleep(50);
  }
  throw new Error(`waited in vain until ${what}`, { cause });
}
