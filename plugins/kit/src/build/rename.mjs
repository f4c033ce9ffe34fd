// Gives the exported functions of plugin.ts the names that the component ABI wants, and lets `finished` run after each.
const names = {
  describe: "tidegate:plugin/about@0.1.0#describe",
  check: "tidegate:plugin/guardrail@0.1.0#check",
  needs: "tidegate:plugin/guardrail-stream@0.1.0#needs",
  window: "tidegate:plugin/guardrail-stream@0.1.0#window",
  matches: "tidegate:plugin/condition@0.1.0#matches",
};

export function afterCompile(module) {
  const finished = ["plugin/finished", "abi/finished"].find((name) => module.getFunction(name));
  for (const [name, full] of Object.entries(names)) {
    if (!module.getExport(name)) continue;
    module.removeExport(name);
    module.addFunctionExport(`plugin/${name}`, full);
    if (finished) module.addFunctionExport(finished, `cabi_post_${full}`);
  }
}
