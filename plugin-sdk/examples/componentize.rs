//! Makes a component of a core module that was built with this SDK: `componentize core.wasm component.wasm`.

use std::process::ExitCode;

use wit_component::ComponentEncoder;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, from, to] = arguments.as_slice() else {
        eprintln!("usage: componentize core.wasm component.wasm");
        return ExitCode::from(2);
    };
    match componentize(from, to) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{from}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn componentize(from: &str, to: &str) -> Result<(), Box<dyn std::error::Error>> {
    let module = std::fs::read(from)?;
    let component = ComponentEncoder::default().validate(true).module(&module)?.encode()?;
    std::fs::write(to, component)?;
    Ok(())
}
