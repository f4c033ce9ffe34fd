//! The WIT package `tidegate:plugin`, carried along: an installed binary builds plugins without a checkout.

use std::fs;
use std::io;
use std::path::Path;

use wit_parser::{PackageId, Resolve, SourceMap};

use crate::componentize::ComponentizeError;

/// The files of `plugin-sdk/wit/since_v0_1`.
pub const FILES: [(&str, &str); 5] = [
    ("condition.wit", include_str!("../../../plugin-sdk/wit/since_v0_1/condition.wit")),
    ("guardrail.wit", include_str!("../../../plugin-sdk/wit/since_v0_1/guardrail.wit")),
    ("host.wit", include_str!("../../../plugin-sdk/wit/since_v0_1/host.wit")),
    ("types.wit", include_str!("../../../plugin-sdk/wit/since_v0_1/types.wit")),
    ("world.wit", include_str!("../../../plugin-sdk/wit/since_v0_1/world.wit")),
];

/// Writes the package into a folder, for tools that read WIT from there.
///
/// # Errors
/// When the folder or a file can't be written.
pub fn write(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    FILES.iter().try_for_each(|(name, text)| fs::write(folder.join(name), text))
}

/// Returns the package, parsed.
pub(crate) fn resolve() -> Result<(Resolve, PackageId), ComponentizeError> {
    let mut sources = SourceMap::new();
    for (name, text) in FILES {
        sources.push_str(name, text);
    }
    let group = sources.parse().map_err(|(_, error)| ComponentizeError::Wit(format!("{error:?}")))?;
    let mut resolve = Resolve::new();
    let package = resolve.push_group(group).map_err(|error| ComponentizeError::Wit(format!("{error:#}")))?;
    Ok((resolve, package))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_package_is_carried() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugin-sdk/wit/since_v0_1");
        let mut there: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        there.sort();
        assert_eq!(there, FILES.map(|(name, _)| name));
    }

    #[test]
    fn the_package_has_the_worlds_that_templates_use() {
        let (resolve, package) = resolve().unwrap();
        for world in ["guardrail-plugin", "stream-guardrail-plugin", "condition-plugin", "full-plugin"] {
            assert!(resolve.select_world(&[package], Some(world)).is_ok(), "{world}");
        }
    }
}
