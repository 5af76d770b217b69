//! The layers above the defaults: where each is found and how it becomes settings. An environment
//! variable `DOPPEL_SECTION__KEY` sets `section.key`; what is not a setting is named in
//! [`NOT_SETTINGS`], and every other `DOPPEL_*` variable must be one.

use std::path::{Path, PathBuf};

use crate::error::{Error, Origin};
use crate::file;
use crate::reader::{Kind, Reader, Setting};

const PREFIX: &str = "DOPPEL_";

/// Names the configuration file.
const FILE_VARIABLE: &str = "DOPPEL_CONFIG";

/// Looked for in the working directory when no file is named.
const DEFAULT_FILE: &str = "doppel.toml";

/// Variables of the same prefix that others read: the file's name; which kernels to use; the
/// Python that obtains models; where the client commands find the server, whom they trust and what they
/// show; where tests find photos, and a server of NATS.
const NOT_SETTINGS: [&str; 9] = [
    FILE_VARIABLE,
    "DOPPEL_SIMD",
    "DOPPEL_PYTHON",
    "DOPPEL_URL",
    "DOPPEL_CA",
    "DOPPEL_CLIENT_CERT",
    "DOPPEL_CLIENT_KEY",
    "DOPPEL_SHARED",
    "DOPPEL_NATS_SERVER",
];

/// A setting made on the command line.
#[derive(Debug, Clone)]
pub struct Flag {
    flag: String,
    key: String,
    value: String,
}

impl Flag {
    /// `flag` as the user wrote it (`--listen`), the key it sets, and its value as text.
    pub fn new(flag: &str, key: &str, value: impl Into<String>) -> Self {
        Self {
            flag: flag.to_owned(),
            key: key.to_owned(),
            value: value.into(),
        }
    }
}

/// Everything that can say something about a setting. Empty by default: only the defaults count.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The configuration file asked for by a flag; it must exist.
    pub file: Option<PathBuf>,
    /// Where `doppel.toml` is looked for when no file is asked for; absent: nowhere.
    pub working_dir: Option<PathBuf>,
    /// Environment variables; those without the prefix `DOPPEL_` are passed over.
    pub environment: Vec<(String, String)>,
    /// What flags say.
    pub flags: Vec<Flag>,
}

impl Sources {
    /// This process's working directory and environment, and what its flags say.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<Flag>) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| {
                let name = name.into_string().ok()?;
                Some((name, value.to_string_lossy().into_owned()))
            })
            .filter(|(name, _)| name.starts_with(PREFIX));
        Self {
            file,
            working_dir: Some(PathBuf::from(".")),
            environment: environment.collect(),
            flags,
        }
    }

    /// All layers merged; a later layer replaces what an earlier one said.
    pub(crate) fn merged(&self) -> Result<Reader, Error> {
        let mut settings = match self.file_in_use() {
            Some(path) => file::read(&path)?,
            None => Vec::new(),
        };
        settings.extend(self.environment.iter().filter_map(from_variable));
        settings.extend(self.flags.iter().map(from_flag));
        Ok(Reader::new(settings))
    }

    fn file_in_use(&self) -> Option<PathBuf> {
        let by_variable = || {
            let mut all = self.environment.iter();
            let (_, path) = all.find(|(name, _)| name == FILE_VARIABLE)?;
            Some(PathBuf::from(path))
        };
        let by_place = || {
            let path = clean_join(self.working_dir.as_ref()?, DEFAULT_FILE);
            path.exists().then_some(path)
        };
        self.file.clone().or_else(by_variable).or_else(by_place)
    }
}

/// `./doppel.toml` reads better as `doppel.toml` in a message.
fn clean_join(dir: &Path, name: &str) -> PathBuf {
    if dir == Path::new(".") {
        return PathBuf::from(name);
    }
    dir.join(name)
}

fn from_variable((name, value): &(String, String)) -> Option<(String, Setting)> {
    if NOT_SETTINGS.contains(&name.as_str()) {
        return None;
    }
    let key = name.strip_prefix(PREFIX)?;
    let setting = Setting {
        text: value.clone(),
        kind: Kind::Untyped,
        origin: Origin::Variable(name.clone()),
    };
    Some((key.to_lowercase().replace("__", "."), setting))
}

fn from_flag(flag: &Flag) -> (String, Setting) {
    let setting = Setting {
        text: flag.value.clone(),
        kind: Kind::Untyped,
        origin: Origin::Flag(flag.flag.clone()),
    };
    (flag.key.clone(), setting)
}
