//! What a plugin's author writes: one trait, one macro.

use crate::call::{CallView, Subject};
use crate::manifest::Manifest;
use crate::params::Params;
use crate::verdict::{CheckError, Judgement};
use crate::window::{StreamWindow, WindowAnswer, WindowNeeds};

/// A plugin. Every call may meet a fresh instance: what must last goes into a stream's state or into [`crate::kv`].
///
/// ```
/// use tidegate_plugin_sdk::{CallView, CheckError, Manifest, Params, Plugin};
///
/// struct Office;
///
/// impl Plugin for Office {
///     fn manifest() -> Manifest {
///         Manifest::new("office", "1.0.0").wants("user").condition("staff", r#"{"type":"object"}"#)
///     }
///
///     fn matches(_condition: &str, _params: &Params, call: &CallView) -> Result<bool, CheckError> {
///         Ok(call.user.as_deref().is_some_and(|user| user.ends_with("@example.com")))
///     }
/// }
///
/// tidegate_plugin_sdk::register!(Office);
/// ```
pub trait Plugin {
    /// Says what the plugin has and asks for.
    fn manifest() -> Manifest;

    /// Judges a whole input or output.
    ///
    /// # Errors
    /// Where the check can't judge; the attachment's failure policy decides.
    fn check(check: &str, params: &Params, subject: &Subject) -> Result<Judgement, CheckError> {
        let _ = (params, subject);
        Err(CheckError::unknown(check))
    }

    /// Says how much a check must see around a position of a stream. Asked once per attachment.
    ///
    /// # Errors
    /// Where the check knows no windows, or the parameters are wrong.
    fn needs(check: &str, params: &Params) -> Result<WindowNeeds, CheckError> {
        let _ = params;
        Err(CheckError::unknown(check))
    }

    /// Judges a window of a stream.
    ///
    /// # Errors
    /// As [`Plugin::check`].
    fn window(check: &str, params: &Params, window: &StreamWindow) -> Result<WindowAnswer, CheckError> {
        let _ = (params, window);
        Err(CheckError::unknown(check))
    }

    /// Decides a routing condition.
    ///
    /// # Errors
    /// Where the condition can't be decided.
    fn matches(condition: &str, params: &Params, call: &CallView) -> Result<bool, CheckError> {
        let _ = (params, call);
        Err(CheckError::unknown(condition))
    }
}

/// Makes a type that implements [`Plugin`] the plugin of this package. Does nothing outside of WebAssembly.
#[macro_export]
macro_rules! register {
    ($plugin:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            type TidegatePlugin = $crate::guest::Exports<$plugin>;
    $crate::guest::export!(TidegatePlugin with_types_in $crate::guest::bindings);
        };
    };
}
