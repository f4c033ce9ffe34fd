//! Guards as parts of a digest: whatever could make them judge otherwise makes another digest.

use super::Guards;
use super::side::Side;
use crate::cache::Digester;

impl Guards {
    /// Adds every hook with its checks, their parameters, and the plugins that answer for them: bytes, config, grants,
    /// limits. Of the request it adds what those checks may look at besides the body.
    pub(in crate::pipeline) fn digest(&self, digester: &mut Digester) {
        let (informing_before, informing_after) = &self.informing;
        for side in [&self.before, &*self.after, &**informing_before, &**informing_after] {
            side.digest(digester);
        }
        let wanted = |what: &str| [&self.before, &*self.after].iter().any(|side| side.wants(what));
        if wanted("metadata") {
            for (name, value) in &self.scene.metadata {
                digester.part("metadata", name.as_bytes());
                digester.part("value", value.as_bytes());
            }
        }
        if wanted("user") {
            let user = self.scene.user.as_ref().or_else(|| self.scene.metadata.get("_user"));
            digester.maybe("user", user.map(String::as_str));
        }
        for (name, value) in self.scene.headers.iter() {
            if wanted(&format!("header:{name}")) {
                digester.part("header", name.as_bytes());
                digester.part("value", value.as_bytes());
            }
        }
    }
}

impl Side {
    fn digest(&self, digester: &mut Digester) {
        digester.part("side", &(self.hooks.len() as u64).to_le_bytes());
        for bound in &self.hooks {
            let hook = &bound.hook;
            // Not its id: where the config names none, it is made anew with every reading.
            let flags = [hook.deny, hook.asynchronous, hook.sequential, hook.speculative].map(u8::from);
            digester.part("hook", &flags);
            digester.part("kind", format!("{:?}", hook.kind).as_bytes());
            for check in &bound.checks {
                digester.part("check", check.id.as_bytes());
                digester.part("params", check.params.as_bytes());
                digester.part("strict", &[u8::from(check.fail_on_error)]);
                digester.part("terms", format!("{:?}", check.terms).as_bytes());
                match &check.plugin {
                    Some(plugin) => {
                        digester.part("plugin", plugin.digest().as_bytes());
                        plugin.setup(&mut |part| digester.part("setup", part));
                    }
                    None => digester.part("plugin", b""),
                }
            }
        }
    }
}
