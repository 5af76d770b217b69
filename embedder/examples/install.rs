//! Installs the models into a folder: `cargo run -p embedder --example install -- DIR`.

use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).ok_or("which folder?")?;
    let mut say = |step: embedder::models::Step| {
        // A closed terminal is no reason to stop.
        let _ = writeln!(std::io::stderr(), "{step}");
    };
    embedder::models::install(dir.as_ref(), &mut say)?;
    Ok(())
}
