//! The `tidegate` binary.

/// Streams allocate a little for each chunk; see `benches/README.md` for what the C library's allocator costs.
#[global_allocator]
static ALLOCATOR: tidegate_memory::Allocator = tidegate_memory::Allocator;

fn main() {
    std::process::exit(tidegate::cli::run());
}
