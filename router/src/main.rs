//! The `tidegate` binary.

fn main() {
    std::process::exit(tidegate::cli::run());
}
