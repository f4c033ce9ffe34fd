//! `tidegate:plugin@0.1`: generated from the WIT folder of the SDK.
#![allow(missing_docs, unreachable_pub, reason = "generated code")]

wasmtime::component::bindgen!({
    path: "../../plugin-sdk/wit/since_v0_1",
    world: "full-plugin",
    imports: {
        "tidegate:plugin/http": async | trappable,
        "tidegate:plugin/kv": async | trappable,
        "tidegate:plugin/models": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    additional_derives: [PartialEq],
});
