/** Where a lease or an actor goes, for every strategy. */
import { describe, expect, it } from "vitest";
import type { NodeId } from "#engine/common/ids.ts";
import type { SchedulingStrategy } from "#engine/common/task-spec.ts";
import type { NodeState } from "#engine/protocol/gcs.ts";
import { pickNode } from "#engine/scheduling/pick-node.ts";
import { resources } from "./raylet-harness.ts";

type Amounts = Readonly<Record<string, number>>;
const byDefault: SchedulingStrategy = { type: "default" };

function node(name: string, total: Amounts, free: Amounts, labels: Record<string, string> = {}) {
  const state: NodeState = {
    nodeId: name as NodeId,
    totals: resources(total),
    available: resources(free),
    labels: new Map(Object.entries(labels)),
  };
  return state;
}

/** For somebody on node a. */
function pick(nodes: NodeState[], asked: Amounts, strategy = byDefault, turn = 0) {
  const wanted = { resources: resources(asked), strategy, preferred: "a" as NodeId, turn };
  return pickNode(nodes, wanted);
}

describe("the default", () => {
  const here = { CPU: 2 };
  it("stays while there is room", () => {
    const nodes = [node("a", here, { CPU: 1 }), node("b", { CPU: 8 }, { CPU: 8 })];
    expect(pick(nodes, { CPU: 1 }).nodeId).toBe("a");
  });
  it("goes where the largest share is free", () => {
    const nodes = [
      node("a", here, {}),
      node("b", { CPU: 8 }, { CPU: 2 }),
      node("c", { CPU: 4 }, { CPU: 3 }),
    ];
    expect(pick(nodes, { CPU: 1 }).nodeId).toBe("c");
  });
  it("waits at home where all are busy, if home can ever do it", () => {
    const nodes = [node("a", here, {}), node("b", { CPU: 8 }, {})];
    expect(pick(nodes, { CPU: 1 }).nodeId).toBe("a");
    expect(pick(nodes, { CPU: 4 }).nodeId).toBe("b");
  });
  it("says that no node has it", () => {
    const choice = pick([node("a", here, here)], { GPU: 1 });
    expect(choice).toMatchObject({ nodeId: null, hopeless: false });
    expect(choice.why).toContain("no node has {GPU: 1}");
  });
});

describe("the others", () => {
  const nodes = [
    node("a", { CPU: 2 }, { CPU: 2 }),
    node("b", { CPU: 2 }, { CPU: 2 }, { zone: "x" }),
    node("c", { CPU: 2 }, {}, { zone: "x", disk: "ssd" }),
  ];
  it("spreads in turn over nodes with room", () => {
    const turns = [0, 1, 2].map((turn) => {
      return pick(nodes, { CPU: 1 }, { type: "spread" }, turn).nodeId;
    });
    expect(turns).toEqual(["a", "b", "a"]);
  });
  it("goes to its node whatever that has free, and is hopeless without it", () => {
    const to = (nodeId: string, soft: boolean): SchedulingStrategy => {
      return { type: "nodeAffinity", nodeId: nodeId as NodeId, soft };
    };
    expect(pick(nodes, { CPU: 1 }, to("c", false)).nodeId).toBe("c");
    expect(pick(nodes, { CPU: 1 }, to("z", true)).nodeId).toBe("a");
    expect(pick(nodes, { CPU: 1 }, to("z", false))).toMatchObject({ nodeId: null, hopeless: true });
  });
  it("keeps to hard labels and likes soft ones", () => {
    const labelled = (hard: [string, string][], soft: [string, string][]): SchedulingStrategy => {
      return { type: "nodeLabels", hard: new Map(hard), soft: new Map(soft) };
    };
    expect(pick(nodes, { CPU: 1 }, labelled([["zone", "x"]], [])).nodeId).toBe("b");
    expect(pick(nodes, { CPU: 1 }, labelled([["zone", "x"]], [["disk", "ssd"]])).nodeId).toBe("c");
    expect(pick(nodes, { CPU: 1 }, labelled([["zone", "y"]], [])).nodeId).toBe(null);
  });
});
