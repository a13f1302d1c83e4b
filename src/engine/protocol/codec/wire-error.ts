/** A peer sent nonsense: whoever reads the frame drops the peer. Never a user's doing. */
export class WireError extends Error {
  override readonly name = "WireError";
}
