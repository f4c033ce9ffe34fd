//! The WebAssembly side: generated bindings, and what stands between them and the types of this crate. Nothing here is
//! for authors; [`crate::register!`] uses it.

use std::marker::PhantomData;

use crate::plugin::Plugin;

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
    std::panic::set_hook(Box::new(|panic| {
        crate::host::log(crate::host::Level::Error, &panic.to_string());
    }));
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
        let params = crate::Params::parse(&params_json)?;
        Ok(P::check(&check, &params, &subject.into())?.into())
    }
}

impl<P: Plugin> exports::guardrail_stream::Guest for Exports<P> {
    fn needs(check: String, params_json: String) -> Result<wit::WindowNeeds, wit::CheckError> {
        log_panics();
        let needs = P::needs(&check, &crate::Params::parse(&params_json)?)?;
        Ok(wit::WindowNeeds { lookahead: needs.lookahead, overlap: needs.overlap })
    }

    fn window(
        check: String,
        params_json: String,
        window: exports::guardrail_stream::StreamWindow,
    ) -> Result<exports::guardrail_stream::WindowAnswer, wit::CheckError> {
        log_panics();
        let params = crate::Params::parse(&params_json)?;
        Ok(P::window(&check, &params, &window.into())?.into())
    }
}

impl<P: Plugin> exports::condition::Guest for Exports<P> {
    fn matches(condition: String, params_json: String, call: wit::CallView) -> Result<bool, wit::CheckError> {
        log_panics();
        Ok(P::matches(&condition, &crate::Params::parse(&params_json)?, &call.into())?)
    }
}
