/** What a run comes to whose program has not ended when a fault ended its process. */
export class DriverCrashed extends Error {
  constructor() {
    super("the driver was crashed by a fault before it had ended");
    // Where in the simulator it was made says nothing.
    this.stack = String(this);
  }
}
