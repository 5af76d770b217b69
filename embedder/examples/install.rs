//! Installs a model into a folder: `cargo run -p embedder --example install -- DIR [MODEL]`.

use std::io::Write;
use std::path::PathBuf;

use embedder::models::{Step, find, install};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().ok_or("which folder?")?);
    let model = arguments.next();
    let manifest = find(&dir, model.as_deref().unwrap_or("facenet-128"))?;
    let mut say = |step: Step| {
        // A closed terminal is no reason to stop.
        let _ = writeln!(std::io::stderr(), "{step}");
    };
    install(&dir, &manifest, &mut say)?;
    Ok(())
}
