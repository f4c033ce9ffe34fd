// Gives the exported functions of plugin.ts the names that the component ABI wants.
const names = {
  describe: "tidegate:plugin/about@0.1.0#describe",
  check: "tidegate:plugin/guardrail@0.1.0#check",
  needs: "tidegate:plugin/guardrail-stream@0.1.0#needs",
  window: "tidegate:plugin/guardrail-stream@0.1.0#window",
  matches: "tidegate:plugin/condition@0.1.0#matches",
};

export function afterCompile(module) {
  for (const [name, full] of Object.entries(names)) {
    if (!module.hasExport(name)) continue;
    const inner = module.getExport(name);
    module.removeExport(name);
    module.addFunctionExport(inner, full);
    if (module.hasExport("finished")) {
      const finished = module.getExport("finished");
      module.addFunctionExport(finished, `cabi_post_${full}`);
    }
  }
}
