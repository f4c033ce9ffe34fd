//! The WebAssembly side: generated bindings, and what stands between them and the types of this crate. Nothing here is
//! for authors; [`crate::register!`] uses it.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::Once;

use crate::params::Params;
use crate::plugin::Plugin;
use crate::verdict::CheckError;

#[expect(missing_docs, reason = "generated")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit/since_v0_1",
        world: "full-plugin",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "tidegate_plugin_sdk::guest::bindings",
    });
}

pub use bindings::export;

mod convert;
pub(crate) use convert::{host, http, kv, models};

use bindings::exports::tidegate::plugin as exports;
use bindings::tidegate::plugin::types as wit;

/// Exports a plugin as a component.
#[derive(Debug)]
pub struct Exports<P>(PhantomData<P>);

/// A panic is a trap, and a trap says nothing: its message goes to the log first.
fn log_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            crate::host::log(crate::host::Level::Error, &panic.to_string());
        }));
    });
}

thread_local! {
    /// The parameters of the last call: an instance that is used again is asked with the same ones.
    static LAST: RefCell<Option<(String, Params)>> = const { RefCell::new(None) };
}

/// Calls with the parameters that a text says.
fn with_params<T>(
    json: String,
    call: impl FnOnce(&Params) -> Result<T, CheckError>,
) -> Result<T, wit::CheckError> {
    let last = LAST.take().filter(|(known, _)| *known == json);
    let last = match last {
        Some(last) => last,
        None => {
            let params = Params::parse(&json)?;
            (json, params)
        }
    };
    let answer = call(&last.1);
    LAST.set(Some(last));
    Ok(answer?)
}

impl<P: Plugin> exports::about::Guest for Exports<P> {
    fn describe() -> wit::Manifest {
        log_panics();
        P::manifest().into()
    }
}

impl<P: Plugin> exports::guardrail::Guest for Exports<P> {
    fn check(
        check: String,
        params_json: String,
        subject: wit::Subject,
    ) -> Result<wit::Judgement, wit::CheckError> {
        log_panics();
        with_params(params_json, |params| P::check(&check, params, &subject.into())).map(Into::into)
    }
}

impl<P: Plugin> exports::guardrail_stream::Guest for Exports<P> {
    fn needs(check: String, params_json: String) -> Result<wit::WindowNeeds, wit::CheckError> {
        log_panics();
        let needs = with_params(params_json, |params| P::needs(&check, params))?;
        Ok(wit::WindowNeeds { lookahead: needs.lookahead, overlap: needs.overlap })
    }

    fn window(
        check: String,
        params_json: String,
        window: exports::guardrail_stream::StreamWindow,
    ) -> Result<exports::guardrail_stream::WindowAnswer, wit::CheckError> {
        log_panics();
        with_params(params_json, |params| P::window(&check, params, &window.into())).map(Into::into)
    }
}

impl<P: Plugin> exports::condition::Guest for Exports<P> {
    fn matches(condition: String, params_json: String, call: wit::CallView) -> Result<bool, wit::CheckError> {
        log_panics();
        with_params(params_json, |params| P::matches(&condition, params, &call.into()))
    }
}
