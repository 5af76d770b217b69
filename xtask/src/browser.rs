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
const TESTS: [&str; 6] = [
    "page.test.mjs",
    "people.test.mjs",
    "troubles.test.mjs",
    "console.test.mjs",
    "settings.test.mjs",
    "quality.test.mjs",
];
/// What those and the pictures stand on.
const PROGRAMS: [&str; 3] = ["shots.mjs", "stage.mjs", "suite.mjs"];

/// Installs what is missing and runs every test.
pub(crate) fn run(target_dir: &Path, models_dir: Option<&Path>) -> Result<Outcome> {
    let arguments = [&["--test", "--test-reporter=spec"][..], &TESTS].concat();
    node(target_dir, models_dir, &arguments)
}

/// Writes the pictures of the documents anew.
pub(crate) fn screenshots(target_dir: &Path, models_dir: Option<&Path>) -> Result<Outcome> {
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/images");
    fs::create_dir_all(&images)?;
    let images = images.canonicalize()?;
    let images = images.to_str().context("the path is not UTF-8")?;
    node(target_dir, models_dir, &["shots.mjs", images])
}

/// Installs what is missing and has Node do something in a browser.
fn node(target_dir: &Path, models_dir: Option<&Path>, arguments: &[&str]) -> Result<Outcome> {
    let Some(models_dir) = models_dir else {
        return Ok(Outcome::Skipped("there are no face models".to_owned()));
    };
    let root = conformance::root()?;
    let home = target_dir.join("browser");
    let browser = match install(root, &home) {
        Ok(browser) => browser,
        Err(why) => return Ok(Outcome::Skipped(format!("{why:#}"))),
    };
    let photos = match conformance::photos(target_dir) {
        Ok(photos) => photos,
        Err(why) => return Ok(Outcome::Skipped(format!("no photos: {why:#}"))),
    };
    // Node looks for modules beside a program, so copies are run.
    for program in TESTS.iter().chain(&PROGRAMS) {
        fs::copy(root.join("web/tests").join(program), home.join(program))?;
    }
    let status = Command::new("node")
        .args(arguments)
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
        bail!("{arguments:?} ended with {status}");
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
