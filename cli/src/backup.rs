//! `doppel backup`, `doppel restore` and `doppel purge`. A backup is a collection, or everything, as
//! one file. What travels is
//! checked against the server's SHA-256, and a file has its name only when it is whole.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use config::{Config, Level, LogOutput, Sources};
use sha2::{Digest, Sha256};

use crate::arguments::{BackupArgs, PurgeArgs, RestoreArgs};
use crate::client::Client;
use crate::exit::Exit;
use crate::{logging, out};

/// Refuses to put a backup in the place of something else.
pub(crate) fn is_free(target: &Path) -> Result<()> {
    if target.exists() {
        bail!("{} is there already: choose another name", target.display());
    }
    Ok(())
}

/// Has a server make a backup, and fetches it, into a file that is not there yet.
pub(crate) fn backup(arguments: &BackupArgs, client: &Client) -> Result<Exit> {
    let target = &arguments.file;
    let temporary = target.with_extension("part");
    // Everything is in it.
    let mut made = File::options();
    let file = made.write(true).create(true).truncate(true).mode(0o600);
    let file = file.open(&temporary);
    let file = file.with_context(|| format!("cannot make {}", temporary.display()))?;
    let fetched = fetch(arguments.collection.as_deref(), client, file);
    let told = fetched.and_then(|told| {
        fs::rename(&temporary, target)
            .with_context(|| format!("cannot rename {}", temporary.display()))?;
        Ok(told)
    });
    if told.is_err() {
        // What is left of it is of no use to anybody.
        let _ = fs::remove_file(&temporary);
    }
    out::print(&format!("{}: {}\n", target.display(), told?))?;
    Ok(Exit::Success)
}

fn fetch(collection: Option<&str>, client: &Client, file: File) -> Result<String> {
    let made = client.make_backup(collection)?;
    let mut out = Hashed {
        out: file,
        digest: Sha256::new(),
    };
    let got = client.fetch_backup(collection, &made.name, &mut out);
    // The server need not keep what has been asked for here.
    let removed = client.remove_backup(collection, &made.name);
    let bytes = got?;
    out.out.sync_all().context("cannot make the file durable")?;
    let sha256 = hex(out.digest);
    if bytes != made.size || made.checksum.as_ref().is_some_and(|sum| *sum != sha256) {
        bail!("the backup was damaged on its way: its SHA-256 is {sha256}");
    }
    removed?;
    let lsn = made.lsn.map(|lsn| format!(" at LSN {lsn}"));
    Ok(format!(
        "{bytes} bytes{}, SHA-256 {sha256}",
        lsn.unwrap_or_default()
    ))
}

/// Has a server restore a backup.
pub(crate) fn restore(arguments: &RestoreArgs, client: &Client) -> Result<Exit> {
    let path = &arguments.file;
    let sha256 = sha256_of(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let told = match &arguments.collection {
        Some(name) => {
            client.restore_as(name, &file, &sha256)?;
            format!("restored as `{name}`\n")
        }
        None => {
            let restored = client.restore_all(&file, &sha256)?.collections.into_iter();
            let told = restored.map(|it| format!("restored `{}`: {} points\n", it.name, it.points));
            told.collect()
        }
    };
    out::print(&told)?;
    Ok(Exit::Success)
}

/// Begins a log that several nodes share with a backup.
pub(crate) fn begin_log(arguments: &RestoreArgs) -> Result<Exit> {
    let config = Config::load(&Sources::of_process(arguments.config.clone(), Vec::new()))?;
    logging::start(&LogOutput {
        level: Level::Warn,
        ..config.log_output.clone()
    });
    let lsn = server::begin_log(&config, &arguments.file, arguments.behind.unwrap_or(0))?;
    out::print(&format!(
        "the log has begun and goes on behind LSN {lsn}: start the nodes, with empty data folders\n"
    ))?;
    Ok(Exit::Success)
}

/// Has a server take what was deleted out of every file. The report goes to standard output as it
/// came, to be filed.
pub(crate) fn purge(arguments: &PurgeArgs, client: &Client) -> Result<Exit> {
    let report = client.purge(&arguments.collection, arguments.delete_backups)?;
    out::print(&(serde_json::to_string_pretty(&report)? + "\n"))?;
    Ok(Exit::Success)
}

/// Writes, and computes the SHA-256 on the way.
struct Hashed {
    out: File,
    digest: Sha256,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.digest.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(digest)),
            got => digest.update(buffer.get(..got).unwrap_or_default()),
        }
    }
}

fn hex(digest: Sha256) -> String {
    let bytes = digest.finalize();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
