/**
 * What piscina starts in a worker thread. Node 20 aborts the whole process when a thread is stopped
 * inside of `require` of an ES module, and `require` is what piscina tries first: so it is given
 * this, and what boots the worker is imported.
 */
module.exports = async (boot: never): Promise<unknown> => {
  const { default: main } = await import("./worker-main.ts");
  return main(boot);
};
