/** One task at a time for each key, in the order of asking. Keys that nobody waits for cost nothing. */
export class KeyedLock {
  private readonly tails = new Map<string, Promise<void>>();

  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.tails.get(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.tails.set(key, promise);
    await before;
    try {
      return await task();
    } finally {
      resolve();
      if (this.tails.get(key) === promise) this.tails.delete(key);
    }
  }
}
