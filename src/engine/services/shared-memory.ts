/** Null: the process has no memory left for it, or may not have so much. */
export function sharedMemory(size: number): SharedArrayBuffer | null {
  try {
    return new SharedArrayBuffer(size);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}
