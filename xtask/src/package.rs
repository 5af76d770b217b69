//! What is shipped: the binary, which may not grow past its budget, manual pages, completions, the bill
//! of materials, the texts of licences and, where `cargo deb` is installed, a Debian package of them. All lies in
//! `target/shipped` of the checkout afterwards, wherever things are built: the Debian package's list of
//! files in `cli/Cargo.toml` takes them from there.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::ci::{run_command, target_dir};
use crate::supply;

/// MiB that the binary may have: it is downloaded, and its pages are read at every start.
const BUDGET_MIB: u64 = 40;
/// Files of completions by shell.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "doppel.bash"),
    ("zsh", "_doppel"),
    ("fish", "doppel.fish"),
];

/// Builds with a profile (`dist` is what is shipped) and gathers everything.
pub(crate) fn run(profile: &str) -> Result<()> {
    supply::check()?;
    let target = target_dir()?;
    let folder = Path::new("target").join("shipped");
    let man = folder.join("man");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&man)?;
    let mut build = Command::new("cargo");
    build.args([
        "build",
        "--locked",
        "--package",
        "cli",
        "--profile",
        profile,
    ]);
    run_command(&mut build)?;
    let binary = folder.join("doppel");
    fs::copy(target.join(profile).join("doppel"), &binary)?;
    // Its symbols are for debuggers, which a package does not bring along.
    run_command(Command::new("strip").arg("--strip-unneeded").arg(&binary))?;
    within_budget(&binary)?;
    for (shell, file) in COMPLETIONS {
        let out = File::create(folder.join(file))?;
        run_command(
            Command::new(&binary)
                .args(["completions", shell])
                .stdout(out),
        )?;
    }
    run_command(Command::new(&binary).arg("manual").arg(&man))?;
    supply::write(&folder.join("doppel.cdx.json"))?;
    let texts = folder.join("licences.txt");
    supply::write_texts(&texts)?;
    // As Debian has long documents.
    run_command(Command::new("gzip").arg("-9n").arg(&texts))?;
    debian(&folder)?;
    eprintln!("package: all of it is in {}", folder.display());
    Ok(())
}

fn within_budget(binary: &Path) -> Result<()> {
    let bytes = fs::metadata(binary)?.len();
    let mib = bytes.div_ceil(1 << 20);
    eprintln!("package: the binary has {mib} MiB, it may have {BUDGET_MIB}");
    if mib > BUDGET_MIB {
        bail!("the binary has {mib} MiB, more than its budget of {BUDGET_MIB}");
    }
    Ok(())
}

fn debian(folder: &Path) -> Result<()> {
    let mut probe = Command::new("cargo");
    probe.args(["deb", "--version"]);
    let probe = probe.stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !probe.is_ok_and(|status| status.success()) {
        eprintln!("package: no Debian package, because there is no `cargo deb`");
        return Ok(());
    }
    let mut deb = Command::new("cargo");
    deb.args([
        "deb",
        "--no-build",
        "--no-strip",
        "--package",
        "cli",
        "--output",
    ]);
    run_command(deb.arg(folder)).context("the Debian package")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_debian_changelog_begins_with_this_version() {
        let log = include_str!("../../packaging/changelog");
        let first = concat!("doppel (", env!("CARGO_PKG_VERSION"), "-1) ");
        assert!(
            log.starts_with(first),
            "packaging/changelog has no entry `{first}`"
        );
    }
}
