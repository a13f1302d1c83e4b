/** The GCS as a service: its machine on the node's host, for as long as the layer's scope lives. */
import * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Layer from "effect/Layer";
import type { Config } from "#engine/common/config.ts";
import { gcsAddress } from "#engine/common/ids.ts";
import { Gcs } from "#engine/gcs/gcs.ts";
import { NodeHost } from "./ports.ts";

export class GcsService extends Context.Service<GcsService, { readonly machine: Gcs }>()(
  "mobula/engine/Gcs",
) {
  static layer(config: Config): Layer.Layer<GcsService, never, NodeHost> {
    return Layer.effect(GcsService, build(config));
  }
}

const build = Effect.fnUntraced(function* (config: Config) {
  const host = yield* NodeHost;
  const machine = new Gcs({ config });
  host.attach(gcsAddress, machine, () => {});
  return GcsService.of({ machine });
});
