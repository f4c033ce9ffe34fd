//! What the plugin says of itself is true.

use serde_json::Value;
use tidegate_plugin_sdk::testing::{FakeHost, check};
use tidegate_plugin_sdk::{Params, Plugin, Subject};

use crate::Default;

#[test]
fn every_declared_check_exists() {
    let _host = FakeHost::install();
    let checks = Default::manifest().checks;
    assert_eq!(checks.len(), 26);
    for info in &checks {
        let result = check::<Default>(&info.name, "{}", &Subject::input("text"));
        let unknown = result.is_err_and(|error| error.name == "UnknownCheck");
        assert!(!unknown, "{}", info.name);
        let windows = Default::needs(&info.name, &Params::default());
        let unknown = windows.is_err_and(|error| error.name == "UnknownCheck");
        assert_eq!(unknown, !info.streams, "{}", info.name);
    }
}

#[test]
fn every_schema_of_parameters_is_a_json_schema_of_an_object() {
    for info in Default::manifest().checks {
        let schema: Value = serde_json::from_str(&info.params_schema_json).unwrap();
        assert_eq!(schema["type"], "object", "{}", info.name);
        for name in schema["required"].as_array().into_iter().flatten() {
            assert!(schema["properties"].get(name.as_str().unwrap()).is_some(), "{}: {name}", info.name);
        }
    }
}
