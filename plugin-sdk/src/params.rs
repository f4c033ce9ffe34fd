//! Parameters of a check, as the config gives them.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::verdict::CheckError;

/// The parameters of a check or condition: a JSON object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params(Map<String, Value>);

impl Params {
    /// Reads parameters; nothing at all is an empty object.
    ///
    /// # Errors
    /// [`CheckError`] where the text is no JSON object.
    pub fn parse(json: &str) -> Result<Self, CheckError> {
        if json.trim().is_empty() {
            return Ok(Self::default());
        }
        match serde_json::from_str(json) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(Value::Null) => Ok(Self::default()),
            Ok(_) => Err(bad("must be a JSON object")),
            Err(error) => Err(bad(&error.to_string())),
        }
    }

    /// Returns the parameters as a type of the plugin.
    ///
    /// # Errors
    /// [`CheckError`] named `ParamsError` that says which member is missing or wrong.
    ///
    /// ```
    /// use tidegate_plugin_sdk::Params;
    /// #[derive(Debug, serde::Deserialize)]
    /// struct Wanted {
    ///     words: Vec<String>,
    /// }
    /// let error = Params::parse("{}")?.read::<Wanted>().unwrap_err();
    /// assert_eq!(error.message, "parameters: missing field `words`");
    /// # Ok::<(), tidegate_plugin_sdk::CheckError>(())
    /// ```
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, CheckError> {
        T::deserialize(&self.0).map_err(|error| bad(&error.to_string()))
    }

    /// Returns one parameter as it was written.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Returns whether a parameter is `true`.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.get(name) == Some(&Value::Bool(true))
    }

    /// Returns a parameter that is a string.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }
}

fn bad(what: &str) -> CheckError {
    CheckError::new("ParamsError", format!("parameters: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_and_null_are_no_parameters() {
        for json in ["", " ", "null", "{}"] {
            assert_eq!(Params::parse(json), Ok(Params::default()), "{json:?}");
        }
    }

    #[test]
    fn other_json_is_refused_with_a_sentence() {
        assert_eq!(Params::parse("[1]").unwrap_err().message, "parameters: must be a JSON object");
        assert!(
            Params::parse("{").unwrap_err().message.starts_with("parameters: EOF"),
            "{:?}",
            Params::parse("{")
        );
    }

    #[test]
    fn flags_and_texts_of_other_types_are_absent() {
        let params = Params::parse(r#"{"not": "true", "rule": 5, "really": true}"#).unwrap();
        assert!(!params.flag("not") && params.flag("really"));
        assert_eq!(params.text("rule"), None);
    }
}
