//! Guests written for tests: core modules in WebAssembly text, wrapped as components in the process. The answers of
//! `describe` and of the checks are laid out here, byte by byte, as the canonical ABI wants them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use tidegate_plugin_host::{CheckInfo, ConditionInfo, Hook, Manifest};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The package's WIT files. Tests of several packages build guests: each looks from where it is.
pub(crate) fn wit() -> PathBuf {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("plugin-sdk/wit/since_v0_1"));
    above.find(|wit| wit.exists()).unwrap()
}

/// Where constant data starts; below it is the guest's scratch space, all zeros.
const DATA: u32 = 1024;

/// A guest to be built.
pub(crate) struct Guest {
    pub(crate) manifest: Manifest,
    /// Instructions of `check`: `$args` points to its arguments, an address of an answer stays on the stack.
    pub(crate) check: Option<String>,
    /// Instructions of `window`, which gets its 13 arguments one by one, and of `needs`.
    pub(crate) window: Option<String>,
    /// Instructions of `matches`.
    pub(crate) matches: Option<String>,
    /// Instructions of `describe` instead of returning the manifest.
    pub(crate) describe: Option<String>,
    /// More items of the module: functions, globals, imports first.
    pub(crate) imports: String,
    pub(crate) items: String,
    /// Instructions that the allocator runs first; it knows `$align` and `$size`.
    pub(crate) in_alloc: String,
    /// Imports of the world, like `tidegate:plugin/http@0.1.0`.
    pub(crate) world_imports: Vec<String>,
    /// Pages of memory at the start.
    pub(crate) pages: u32,
    /// Changes the WIT files before they are used: file name, text.
    pub(crate) change_wit: fn(&str, String) -> String,
    data: Vec<u8>,
}

pub(crate) fn check_info(name: &str) -> CheckInfo {
    CheckInfo {
        name: name.to_owned(),
        hooks: vec![Hook::Input, Hook::Output],
        streams: false,
        mutates: true,
        params_schema_json: "{}".to_owned(),
        extra: Vec::new(),
    }
}

impl Guest {
    /// A guest with a check `check` that does this.
    pub(crate) fn checks(check: &str) -> Self {
        let manifest = Manifest {
            id: "guest".to_owned(),
            version: "1.0.0".to_owned(),
            checks: vec![check_info("check")],
            conditions: Vec::new(),
            wants: Vec::new(),
            extra: Vec::new(),
        };
        Self {
            manifest,
            check: Some(check.to_owned()),
            window: None,
            matches: None,
            describe: None,
            imports: String::new(),
            items: String::new(),
            in_alloc: String::new(),
            world_imports: vec!["tidegate:plugin/host@0.1.0".to_owned()],
            pages: 2,
            change_wit: |_, text| text,
            data: Vec::new(),
        }
    }

    /// A guest that lets everything pass.
    pub(crate) fn passes() -> Self {
        Self::checks("(i32.const 0)")
    }

    /// Adds a condition `when` that does this.
    pub(crate) fn with_condition(mut self, matches: &str) -> Self {
        let info =
            ConditionInfo { name: "when".to_owned(), params_schema_json: "{}".to_owned(), extra: Vec::new() };
        self.manifest.conditions.push(info);
        self.matches = Some(matches.to_owned());
        self
    }

    /// Makes the check one of streams whose windows do this.
    pub(crate) fn with_window(mut self, window: &str) -> Self {
        self.manifest.checks[0].streams = true;
        self.window = Some(window.to_owned());
        self
    }

    /// Imports a function of the package's interface, as `$name`.
    pub(crate) fn importing(mut self, interface: &str, name: &str, signature: &str) -> Self {
        let full = format!("tidegate:plugin/{interface}@0.1.0");
        if !self.world_imports.contains(&full) {
            self.world_imports.push(full.clone());
        }
        let _ = writeln!(self.imports, r#"(import "{full}" "{name}" (func ${name} {signature}))"#);
        self
    }

    /// Adds bytes to the module's data, aligned, and returns their address.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> u32 {
        while !self.data.len().is_multiple_of(8) {
            self.data.push(0);
        }
        let at = DATA + self.data.len() as u32;
        self.data.extend_from_slice(bytes);
        at
    }

    fn put_list(&mut self, count: usize, bytes: &[u8]) -> Vec<u8> {
        let at = if bytes.is_empty() { 0 } else { self.put(bytes) };
        words(&[at, count as u32])
    }

    /// Lays a string out and returns the words that stand for it.
    pub(crate) fn text(&mut self, text: &str) -> Vec<u8> {
        self.put_list(text.len(), text.as_bytes())
    }

    /// Lays out `ok(judgement)` with a verdict's case and the words after it, and `data-json`.
    pub(crate) fn judgement(&mut self, case: u32, payload: &[u8], data: Option<&str>) -> u32 {
        let mut bytes = words(&[0, case]);
        bytes.extend_from_slice(payload);
        bytes.resize(24, 0);
        let data = data.map_or_else(|| words(&[0, 0, 0]), |data| [words(&[1]), self.text(data)].concat());
        bytes.extend_from_slice(&data);
        self.put(&bytes)
    }

    /// Lays out a list of spans, replaced by a star each.
    pub(crate) fn spans(&mut self, spans: &[(u32, u32)]) -> Vec<u8> {
        let star = self.text("*");
        let bytes: Vec<u8> =
            spans.iter().flat_map(|(start, end)| [words(&[*start, *end]), star.clone()].concat()).collect();
        self.put_list(spans.len(), &bytes)
    }

    /// Lays out a judgement that masks one piece.
    pub(crate) fn mask(&mut self, piece: u32, spans: &[(u32, u32)]) -> u32 {
        let spans = self.spans(spans);
        let masks = self.put_list(1, &[words(&[piece]), spans].concat());
        self.judgement(1, &masks, None)
    }

    /// Lays out `err(check-error)`.
    pub(crate) fn error(&mut self, name: &str, message: &str) -> u32 {
        let bytes = [words(&[1]), self.text(name), self.text(message), words(&[0, 0, 0])].concat();
        self.put(&bytes)
    }

    /// Builds the component.
    pub(crate) fn build(mut self) -> Vec<u8> {
        let manifest = self.put_manifest();
        let module = self.module(manifest);
        let mut module = wat::parse_str(&module).unwrap_or_else(|error| panic!("{error}\n{module}"));
        let mut exports = vec!["about"];
        exports.extend(self.check.as_ref().map(|_| "guardrail"));
        exports.extend(self.window.as_ref().map(|_| "guardrail-stream"));
        exports.extend(self.matches.as_ref().map(|_| "condition"));
        let (resolve, world) = self.resolve(&exports);
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
        ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
    }

    fn resolve(&self, exports: &[&str]) -> (Resolve, wit_parser::WorldId) {
        let folder = tempfile::tempdir().unwrap();
        let mut version = "0.1.0".to_owned();
        for entry in std::fs::read_dir(wit()).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let text = (self.change_wit)(&name, std::fs::read_to_string(entry.path()).unwrap());
            let package = text.lines().next().unwrap();
            version = package.split(['@', ';']).nth(1).unwrap().to_owned();
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let mut world = "package test:guest;\nworld guest {\n".to_owned();
        let mut others = String::new();
        for import in &self.world_imports {
            let _ = writeln!(world, "import {};", import.replace("@0.1.0", &format!("@{version}")));
            if let Some(package) = import.strip_prefix("wasi:") {
                let (path, version) = package.split_once('@').unwrap();
                let (package, interface) = path.split_once('/').unwrap();
                let _ = writeln!(
                    others,
                    "package wasi:{package}@{version} {{ interface {interface} {{ get: func() -> u32; }} }}"
                );
            }
        }
        for export in exports {
            let _ = writeln!(world, "export tidegate:plugin/{export}@{version};");
        }
        world.push_str("}\n");
        let mut resolve = Resolve::default();
        resolve.push_dir(folder.path()).unwrap();
        let package = resolve.push_str("guest.wit", &format!("{world}{others}")).unwrap();
        let world = resolve.select_world(&[package], Some("guest")).unwrap();
        (resolve, world)
    }

    fn module(&self, manifest: u32) -> String {
        let plain = format!("(i32.const {manifest})");
        let describe = self.describe.as_deref().unwrap_or(&plain);
        let version = (self.change_wit)("", "0.1.0".to_owned());
        let mut exports = String::new();
        let mut export = |function: &str, signature: &str, body: &str| {
            let _ = writeln!(
                exports,
                "(func (export \"tidegate:plugin/{}\") {signature} (result i32) {body})",
                function.replace('@', &format!("@{version}"))
            );
        };
        export("about@#describe", "", describe);
        if let Some(check) = &self.check {
            export("guardrail@#check", "(param $args i32)", check);
        }
        if let Some(window) = &self.window {
            export("guardrail-stream@#needs", "(param i32 i32 i32 i32)", "(i32.const 0)");
            let parameters = "(param i32 i32 i32 i32) (param $text i32) (param $length i32) (param $overlap i32) \
                              (param $last i32) (param i32 i32 i32) (param $state i32) (param $state-length i32)";
            export("guardrail-stream@#window", parameters, window);
        }
        if let Some(matches) = &self.matches {
            export("condition@#matches", "(param $args i32)", matches);
        }
        let data: String = self.data.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "\\{byte:02x}");
            text
        });
        let Self { imports, items, in_alloc, pages, .. } = self;
        let heap = (DATA as usize + self.data.len()).next_multiple_of(4096);
        format!(
            r#"(module
            {imports}
            (memory (export "memory") {pages})
            (data (i32.const {DATA}) "{data}")
            (global $heap (mut i32) (i32.const {heap}))
            (func $alloc (export "cabi_realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
              (local $at i32)
              {in_alloc}
              (local.set $at (i32.and
                (i32.add (global.get $heap) (i32.sub (local.get $align) (i32.const 1)))
                (i32.sub (i32.const 0) (local.get $align))))
              (global.set $heap (i32.add (local.get $at) (local.get $size)))
              (if (i32.gt_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536)))
                (then (drop (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get $size) (i32.const 16)))))))
              (local.get $at))
            {items}
            {exports})"#
        )
    }

    fn put_manifest(&mut self) -> u32 {
        let manifest = self.manifest.clone();
        let mut checks = Vec::new();
        for info in &manifest.checks {
            let hooks: Vec<u8> = info.hooks.iter().map(|hook| u8::from(*hook == Hook::Output)).collect();
            checks.extend(self.text(&info.name));
            checks.extend(self.put_list(hooks.len(), &hooks));
            checks.extend([info.streams.into(), info.mutates.into(), 0, 0]);
            checks.extend(self.text(&info.params_schema_json));
            let mut extra = Vec::new();
            for (name, value) in &info.extra {
                extra.extend([self.text(name), self.text(value)].concat());
            }
            checks.extend(self.put_list(info.extra.len(), &extra));
        }
        let mut conditions = Vec::new();
        for info in &manifest.conditions {
            conditions.extend(self.text(&info.name));
            conditions.extend(self.text(&info.params_schema_json));
            conditions.extend(words(&[0, 0]));
        }
        let mut wants = Vec::new();
        for want in &manifest.wants {
            wants.extend(self.text(want));
        }
        let bytes = [
            self.text(&manifest.id),
            self.text(&manifest.version),
            self.put_list(manifest.checks.len(), &checks),
            self.put_list(manifest.conditions.len(), &conditions),
            self.put_list(manifest.wants.len(), &wants),
            words(&[0, 0]),
        ]
        .concat();
        self.put(&bytes)
    }
}

/// Returns little-endian words.
pub(crate) fn words(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}
