//! Does the start of a gateway depend on how many keys it has?
//!
//! Starts the real binary over a store without keys and over one with many, in turns, and prints medians and their
//! ratio: `start-up [RUNS] [KEYS]`. `TIDEGATE_BIN` names a binary; without it cargo builds one with the profile
//! `release-quick`.

mod gateway;
mod report;
mod store;

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::gateway::{Run, start};
use crate::store::Stocked;

const RUNS: usize = 15;
const KEYS: usize = 100_000;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1).map(|number| number.parse().map_err(io::Error::other));
    let runs: usize = arguments.next().transpose()?.unwrap_or(RUNS).max(1);
    let keys: usize = arguments.next().transpose()?.unwrap_or(KEYS).max(1);
    let binary = binary()?;
    println!("binary: {}", binary.display());

    let stores = [Stocked::fill(0)?, Stocked::fill(keys)?];
    for store in &stores {
        println!(
            "store with {} keys: {:.1} MB, filled in {:.0?}",
            store.keys(),
            store.megabytes()?,
            store.took()
        );
        // The first start writes what the settings declare and warms the page cache: not counted.
        start(&binary, store, 0)?;
    }
    println!("load average before: {}", report::load());
    let mut measured: [Vec<Run>; 2] = [Vec::new(), Vec::new()];
    for run in 1..=runs {
        // In turns, and in turns who is first: what else the machine does hits both alike.
        for at in if run % 2 == 0 { [0, 1] } else { [1, 0] } {
            measured[at].push(start(&binary, &stores[at], run)?);
        }
    }
    println!("load average after:  {}", report::load());
    let [none, many] = measured;
    report::print(&none, keys, &many);
    Ok(())
}

fn binary() -> io::Result<PathBuf> {
    if let Some(named) = std::env::var_os("TIDEGATE_BIN") {
        return Ok(named.into());
    }
    let own = std::env::current_exe()?;
    // target/PROFILE/start-up
    let target = own.parent().and_then(Path::parent).ok_or_else(|| io::Error::other("no target folder"))?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([
            "build",
            "--quiet",
            "--profile",
            "release-quick",
            "--package",
            "tidegate",
            "--bin",
            "tidegate",
        ])
        .env("CARGO_TARGET_DIR", target)
        .status()?;
    if !built.success() {
        return Err(io::Error::other(
            "cargo could not build tidegate; TIDEGATE_BIN names a binary to measure",
        ));
    }
    Ok(target.join("release-quick/tidegate"))
}
