//! Writes the five definitions to `crds/*.yaml`, which are committed: `cargo run -p headgate-crds -- write`.

use std::path::Path;
use std::process::ExitCode;

use headgate_crds::{Kind, definition};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments != ["write"] {
        eprintln!(
            "usage: {} (writes crds/*.yaml from the types)",
            definition::WRITE_COMMAND
        );
        return ExitCode::from(2);
    }
    for kind in Kind::ALL {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(definition::file_name(kind));
        if let Err(error) = std::fs::write(&path, definition::yaml(kind)) {
            eprintln!("cannot write {}: {error}", path.display());
            return ExitCode::FAILURE;
        }
        println!("wrote {}", path.display());
    }
    ExitCode::SUCCESS
}
