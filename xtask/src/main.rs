//! `cargo xtask ci` is the one gate of this repository, the same on every machine; `cargo xtask
//! tidy` is the part of it that no compiler checks. Nothing here is shipped.

mod browser;
mod ci;
mod conformance;
mod models;
mod nats;
mod package;
mod prometheus;
mod sanitize;
mod supply;
mod tidy;

use std::env;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

const USAGE: &str = "cargo xtask TASK

  ci           formatting, tidy, clippy with warnings denied, all tests, official clients,
               Prometheus, the page
  browser      the page in Chromium against the `doppel` of the last debug build (part of ci)
  conformance  the official clients against the `doppel` of the last debug build (part of ci)
  prometheus   Debian's Prometheus scraping it, the dashboard's queries, the alerts (part of ci)
  licences     of all that the binary is made of, and where it comes from (part of ci);
               `licences FILE` writes their texts
  package      the binary as it is shipped, within its budget, manual pages, completions, the bill of
               materials, the texts of licences and, with `cargo deb`, a Debian package; `package release`
               builds quicker
  photos       ten free photos of four people, into target/photos/people
  screenshots  the pictures of the page in docs/images, anew
  sanitize     the engine's threads under ThreadSanitizer; builds everything once more
  tidy         which crate may use which, where `unsafe` and files may stand, links, lengths";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let outcome: Result<()> = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["ci"] => ci::run(),
        ["browser"] => ci::browser(),
        ["conformance"] => ci::conformance(),
        ["prometheus"] => ci::prometheus(),
        ["licences"] => supply::check(),
        ["licences", file] => supply::write_texts(Path::new(file)),
        ["package"] => package::run("dist"),
        ["package", profile @ ("dist" | "release")] => package::run(profile),
        ["photos"] => ci::photos(),
        ["screenshots"] => ci::screenshots(),
        ["sanitize"] => sanitize::run(),
        ["tidy"] => tidy::run(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nxtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
