//! From bytes to code that can be started: verified, compiled or taken from the cache, linked.

use rayon::ThreadPoolBuilder;
use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};

use crate::LoadError;
use crate::background::lower_priority;
use crate::cache::Cache;
use crate::engine::{MAX_MEMORIES, MAX_TABLE_ELEMENTS, MAX_TABLES};
use crate::guest::Guest;
use crate::inspect::{Found, split};
use crate::pool::instance::Code;

/// Bytes of a page of linear memory.
const PAGE: u64 = 64 << 10;

/// Makes code of bytes that were found to be a plugin.
pub(crate) fn load(
    engine: &Engine,
    cache: Option<&Cache>,
    bytes: &[u8],
    digest: &str,
    found: &Found,
    memory_limit: usize,
) -> Result<Code, LoadError> {
    let component = match cache.and_then(|cache| cache.load(engine, digest)) {
        Some(component) => component,
        None => {
            let component = compile(engine, bytes)?;
            if let Some(cache) = cache {
                cache.store(digest, &component);
            }
            component
        }
    };
    check_resources(&component, memory_limit)?;
    check_functions(engine, found, &component)?;
    let mut linker = Linker::<Guest>::new(engine);
    let failed = |error: wasmtime::Error| LoadError::Compile(format!("{error:#}"));
    found.version.link(&mut linker).map_err(failed)?;

    let pre = linker.instantiate_pre(&component).map_err(failed)?;
    let indices = found.version.indices(&pre, found.exports).map_err(failed)?;
    Ok(Code { pre, indices })
}

/// Compiles on threads of low priority: Python takes ten seconds of all cores.
fn compile(engine: &Engine, bytes: &[u8]) -> Result<Component, LoadError> {
    let threads = ThreadPoolBuilder::new()
        .thread_name(|number| format!("plugin-compile-{number}"))
        .start_handler(|_| lower_priority())
        .build()
        .map_err(|error| LoadError::Compile(error.to_string()))?;
    threads
        .install(|| Component::from_binary(engine, bytes))
        .map_err(|error| LoadError::Compile(format!("{error:#}")))
}

/// Refuses now what would fail at the first call.
fn check_resources(component: &Component, memory_limit: usize) -> Result<(), LoadError> {
    // Unknown only if core modules are imported, which no import of ours is.
    let Some(needs) = component.resources_required() else {
        return Err(LoadError::Compile("its memory is unknown before it starts".to_owned()));
    };
    let to_u64 = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let memory = needs.max_initial_memory_size.unwrap_or(0).saturating_mul(PAGE);
    for (what, needs, limit) in [
        ("memories", u64::from(needs.num_memories), u64::from(MAX_MEMORIES)),
        ("bytes of memory", memory, to_u64(memory_limit)),
        ("tables", u64::from(needs.num_tables), u64::from(MAX_TABLES)),
        ("table elements", needs.max_initial_table_size.unwrap_or(0), to_u64(MAX_TABLE_ELEMENTS)),
    ] {
        if needs > limit {
            return Err(LoadError::Resources { what, needs, limit });
        }
    }
    Ok(())
}

/// Refuses functions that a known interface does not have, by name: the plugin was built for a later patch version.
fn check_functions(engine: &Engine, found: &Found, component: &Component) -> Result<(), LoadError> {
    let component_type = component.component_type();
    for (name, import) in component_type.imports(engine) {
        let ComponentItem::ComponentInstance(instance) = import.ty else { continue };
        let Some((interface, _)) = split(name) else { continue };
        for (function, export) in instance.exports(engine) {
            let is_function = matches!(export.ty, ComponentItem::ComponentFunc(_));
            if is_function && !found.version.offers(interface, function) {
                return Err(LoadError::UnknownImport { import: format!("{name}#{function}") });
            }
        }
    }
    Ok(())
}
