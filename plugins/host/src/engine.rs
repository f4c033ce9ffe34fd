//! The only `wasmtime::Config`.
//!
//! Instances come from a pool, so that starting one costs microseconds and the memory of all plugins is bounded.
//! What guests need no part of (threads, shared memory, 64-bit memories) is off.

use std::hash::{Hash, Hasher};

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use crate::HostError;

/// Bytes that a linear memory may have at most, whatever a plugin's limits say.
pub(crate) const MAX_MEMORY: usize = 512 << 20;
/// Memories of one component: QuickJS with its adapter has three.
pub(crate) const MAX_MEMORIES: u32 = 4;
/// Tables of one component.
pub(crate) const MAX_TABLES: u32 = 4;
/// Elements of a table: StarlingMonkey's first one has 7,689.
pub(crate) const MAX_TABLE_ELEMENTS: usize = 20_000;
/// Core instances of one component: Python with its adapters has 38.
const MAX_CORE_INSTANCES: u32 = 40;
/// Unused slots that keep their pages mapped, and so start faster.
const WARM_SLOTS: u32 = 32;
/// Bytes that an unused slot keeps of what its last guest wrote to: they are set back in place, which is cheaper than
/// giving the pages back and faulting them in again.
const KEPT_MEMORY: usize = 256 << 10;
/// The same for tables.
const KEPT_TABLE: usize = 64 << 10;
/// Stack of a guest. Interpreters recurse deeply.
const GUEST_STACK: usize = 512 << 10;
/// Stack of a guest and the host functions it calls.
const CALL_STACK: usize = 1 << 20;

/// Makes the engine with a pool of so many instances.
pub(crate) fn engine(instances: u32) -> Result<Engine, HostError> {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(MAX_CORE_INSTANCES))
        .total_memories(instances.saturating_mul(MAX_MEMORIES))
        .total_tables(instances.saturating_mul(MAX_TABLES))
        .total_stacks(instances)
        .max_core_instances_per_component(MAX_CORE_INSTANCES)
        .max_memories_per_component(MAX_MEMORIES)
        .max_memories_per_module(MAX_MEMORIES)
        .max_tables_per_component(MAX_TABLES)
        .max_tables_per_module(MAX_TABLES)
        .table_elements(MAX_TABLE_ELEMENTS)
        .max_memory_size(MAX_MEMORY)
        .max_unused_warm_slots(WARM_SLOTS)
        .linear_memory_keep_resident(KEPT_MEMORY)
        .table_keep_resident(KEPT_TABLE)
        // Finds just the pages that were written to, where the kernel can tell (Linux 6.7).
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .max_wasm_stack(GUEST_STACK)
        .async_stack_size(CALL_STACK)
        .wasm_memory64(false);
    Engine::new(&config).map_err(|error| HostError::Engine(format!("{error:#}")))
}

/// Returns a name for what this engine can load without compiling: its version, settings and processor.
pub(crate) fn compatibility(engine: &Engine) -> String {
    // Not a secret and not a proof: it only keeps builds apart, and the engine checks again what it loads.
    let mut hasher = std::hash::DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
