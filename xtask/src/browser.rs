//! The page in a real browser, against the `doppel` that was built. Playwright is installed into the
//! build's folder in the version that `web/tests/package.json` pins; the browser is Debian's
//! Chromium, installed when it is missing and this runs as root. A machine that has neither, or no
//! photos or models, can still run everything else: the gate then says what it skipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::conformance::{self, Outcome};

const BROWSERS: [&str; 2] = ["/usr/bin/chromium", "/usr/bin/chromium-browser"];
const PROGRAMS: [&str; 2] = ["page.test.mjs", "stage.mjs"];

/// Installs what is missing and runs every test.
pub(crate) fn run(target_dir: &Path, models_dir: Option<&Path>) -> Result<Outcome> {
    let Some(models_dir) = models_dir else {
        return Ok(Outcome::Skipped("there are no face models".to_owned()));
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let root = root.context("xtask has no parent folder")?;
    let home = target_dir.join("browser");
    let browser = match install(root, &home) {
        Ok(browser) => browser,
        Err(why) => return Ok(Outcome::Skipped(format!("{why:#}"))),
    };
    let Some(photos) = conformance::photos(root, &home)? else {
        return Ok(Outcome::Skipped("there are no photos".to_owned()));
    };
    // Node looks for modules beside a program, so copies are run.
    for program in PROGRAMS {
        fs::copy(root.join("web/tests").join(program), home.join(program))?;
    }
    let status = Command::new("node")
        .args(["--test", "--test-reporter=spec", "page.test.mjs"])
        .current_dir(&home)
        .env("PAGE_BINARY", target_dir.join("debug/doppel"))
        .env("DOPPEL_MODELS_DIR", models_dir)
        .env("PAGE_PHOTOS", photos)
        .env("PAGE_CHROMIUM", browser)
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1")
        .status()
        .context("cannot start node")?;
    if !status.success() {
        bail!("the tests of the page ended with {status}");
    }
    Ok(Outcome::Ran)
}

/// Does nothing when what is pinned is there. Returns where the browser is.
fn install(root: &Path, home: &Path) -> Result<PathBuf> {
    fs::create_dir_all(home)?;
    let package = root.join("web/tests/package.json");
    conformance::once(&package, &home.join("installed"), || {
        fs::copy(&package, home.join("package.json"))?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--silent", "--prefix"]);
        conformance::quiet(npm.arg(home))
    })?;
    if let Some(browser) = browser() {
        return Ok(browser);
    }
    for arguments in [&["update"][..], &["install", "--yes", "chromium"]] {
        let mut apt = Command::new("apt-get");
        conformance::quiet(apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
            .context("there is no Chromium; as root: apt-get install chromium")?;
    }
    browser().context("there is no Chromium where Debian puts it")
}

fn browser() -> Option<PathBuf> {
    let mut paths = BROWSERS.iter().map(PathBuf::from);
    paths.find(|path| path.exists())
}
