//! The `tidegate` binary.

/// Streams allocate a little for each chunk; see `benches/README.md` for what the C library's allocator costs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    std::process::exit(tidegate::cli::run());
}
