//! The command line: every command, flag and word of help. Settings of the server are only named
//! here; `config` decides what they mean and refuses what is wrong.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use config::Flag;

use crate::eval::EvalCommand;
use crate::export::ExportArgs;
use crate::keys::KeysCommand;
use crate::limits;
use crate::models::ModelsCommand;
use crate::people::{ClusterArgs, PeopleCommand};
use crate::target::{ServerArgs, ServerOrFolderArgs};
use crate::training::TrainCommand;

const AFTER_HELP: &str = "\
Without a command: serve.

Exit codes: 0 done, 1 failed, 2 arguments or settings refused, 3 import or reembed finished but some
photos were refused.";

/// A face look-alike database: photos in, look-alikes out.
#[derive(Debug, Parser)]
#[command(name = "doppel", version, after_help = AFTER_HELP, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server until it is told to stop (Ctrl-C or SIGTERM)
    #[command(
        after_help = "All settings: doppel.example.toml. Later wins: defaults, \
        configuration file, DOPPEL_* variables, flags."
    )]
    Serve(ServeArgs),
    /// Put photos, or vectors that are made already, into a collection
    #[command(after_help = IMPORT_HELP)]
    Import(ImportArgs),
    /// Write a collection's points to a file
    Export(ExportArgs),
    /// Find the faces that look like the ones in a photo
    Search(SearchArgs),
    /// List, rename and describe the people whose faces a collection has
    #[command(subcommand)]
    People(PeopleCommand),
    /// Group the faces of a collection into people, and print what is proposed
    Cluster(ClusterArgs),
    /// Build an index anew, with other settings or the same, while it goes on serving
    Reindex(crate::reindex::ReindexArgs),
    /// Move a collection to another face model, from the photos and crops that are kept
    #[command(after_help = crate::reembed::HELP)]
    Reembed(crate::reembed::ReembedArgs),
    /// Copy a collection, or everything, into one file
    #[command(after_help = BACKUP_HELP)]
    Backup(BackupArgs),
    /// Bring back what a backup holds; collections of the same names are replaced
    Restore(RestoreArgs),
    /// Take what was deleted from a collection out of every file, and print the report
    Purge(PurgeArgs),
    /// Jobs of a server, and its upkeep while it serves: checkpoint, verify, compact, warm-up
    #[command(subcommand)]
    Admin(crate::admin::AdminCommand),
    /// Make, list and revoke API keys of a server
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Obtain and check the face models
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Measure how well and how fast the face models do
    #[command(subcommand)]
    Eval(EvalCommand),
    /// Learn a network of your own from people whose names are known
    #[command(subcommand)]
    Train(TrainCommand),
    /// Check a data folder that no server is using, down to the last byte
    #[command(after_help = VERIFY_HELP)]
    Verify(VerifyArgs),
    /// Mend a data folder that no server is using; only shows what it would do, without --yes
    #[command(after_help = REPAIR_HELP)]
    Repair(RepairArgs),
    /// Print the version
    Version,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual pages into a folder
    Manual {
        /// The folder, which must be there
        folder: PathBuf,
    },
}

const VERIFY_HELP: &str = "\
Reads every checksum of the log, the checkpoints and the pictures, tries a start without changing
anything, checks the invariants of every index, and compares the tables with what log and snapshots
make of them. Copies the tables to the system's folder for temporary files (TMPDIR).

Exit codes: 0 nothing is lost, 1 something is damaged that cannot be made up for, or the check
itself failed.";

const REPAIR_HELP: &str = "\
Mends what loses nothing: cuts a torn tail of the log, builds tables anew, replaces a damaged
checkpoint. With --accept-loss it also goes on without the damaged part of the log and what was
written after it; what it takes out is kept in files that end in .damaged.";

const IMPORT_HELP: &str = "\
A photo belongs to the person its folder is named after, at any depth (`_` reads as a space). A
photo that lies directly in DIR belongs to the person its own name says, without the number at its
end: Ada_Lovelace_0001.jpg is Ada Lovelace.

CelebA is told by its lists (identity_CelebA, list_attr_celeba) beside img_align_celeba: identities
become persons, attributes keys of the payload. A list has a `path` for each photo, from its own
folder on, and may have `person` and `id`; other columns or keys go into the payload.

A photo is known by its path below DIR: running the same command again goes on where it stopped,
skips what is there, and reports all of it. Keep DIR the same. Until an import is complete, what it
has put in is noted in $XDG_STATE_HOME/doppel/imports (~/.local/state/doppel/imports).

Exit codes: 0 all photos are in, 3 some were refused or could not be read (the report says which), 1 it
stopped early.";

const BACKUP_HELP: &str = "\
The file holds everything: vectors, index, payloads, faces and pictures, as they were at one moment.
Writes go on while it is made. It can be restored into any server, under any name.";

/// Settings of the server. What is not given comes from variables, the file, the defaults.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ServeArgs {
    /// Configuration file [env: DOPPEL_CONFIG] [default: doppel.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Folder of the database [env: DOPPEL_DATA_DIR] [default: ./data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Share one log with other nodes: addresses of the servers of NATS JetStream that keep it, such as
    /// nats://10.0.0.1:4222,nats://10.0.0.2:4222 [env: DOPPEL_NATS__SERVERS]
    #[arg(long, value_name = "URLS")]
    log: Option<String>,
    /// Where to answer requests [env: DOPPEL_LISTEN] [default: 127.0.0.1:6333]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Folder of the face models [env: DOPPEL_MODELS_DIR] [default: ./models]
    #[arg(long, value_name = "DIR")]
    models_dir: Option<String>,
    /// What requests must show; others on this machine can see it here, so better set the variable
    /// [env: DOPPEL_API_KEY]
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,
    /// Let other machines connect without any key
    #[arg(long)]
    insecure: bool,
    /// Do not obtain missing face models at start
    #[arg(long)]
    no_install: bool,
    /// Least important lines to log: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// How log lines look: text, json
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Any other setting, such as checkpoint.interval_s=60
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// A folder of photos, a list of photos (.csv, .jsonl), or vectors (.npy, .fvecs, .parquet, .jsonl)
    #[arg(value_name = "SOURCE")]
    pub(crate) folder: PathBuf,
    /// Names for the numbers of CelebA's identities: a .csv file of number and name
    #[arg(long, value_name = "FILE")]
    pub(crate) names: Option<PathBuf>,
    /// Ids for the rows of an .npy or .fvecs file, one in a line; without it, the rows' numbers from 0
    #[arg(long, value_name = "FILE")]
    pub(crate) ids: Option<PathBuf>,
    /// Leave a column of a .parquet file out; may be given several times
    #[arg(long, value_name = "COLUMN")]
    pub(crate) without: Vec<String>,
    /// The collection; made for faces if it is not there
    #[arg(short, long, value_name = "NAME")]
    pub(crate) collection: String,
    /// The face model: of a new collection, and of vectors that are made already; one of another
    /// model is refused [default for photos: the server's]
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Import straight into this data folder, which no server may be using
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    pub(crate) data_dir: Option<String>,
    /// Folder of the face models, with --data-dir
    #[arg(long, value_name = "DIR", requires = "data_dir")]
    pub(crate) models_dir: Option<String>,
    /// Configuration file, with --data-dir
    #[arg(long, value_name = "FILE", requires = "data_dir")]
    pub(crate) config: Option<PathBuf>,
    /// Requests at work at once
    #[arg(long, value_name = "N", default_value_t = limits::IN_FLIGHT,
        value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) in_flight: u16,
    /// Do not keep a thumbnail of each face
    #[arg(long)]
    pub(crate) no_crops: bool,
    /// Keep the original photos too
    #[arg(long)]
    pub(crate) keep_photos: bool,
    /// Only say what would be imported
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Also write the report, with each refused photo, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// Where to write it; must not be there yet
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The collection; without it, everything
    #[arg(short, long, value_name = "NAME")]
    pub(crate) collection: Option<String>,
    #[command(flatten)]
    pub(crate) from: ServerOrFolderArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The name that its only collection gets; without it, all of it under the names it had
    #[arg(short, long, value_name = "NAME")]
    pub(crate) collection: Option<String>,
    #[command(flatten)]
    pub(crate) to: ServerOrFolderArgs,
    /// Begin a log with it that several nodes are to share: the stream that the settings name (nats.stream), which
    /// must not be there yet. Nodes with empty folders then begin with it
    #[arg(long, conflicts_with_all = ["collection", "url", "data_dir"])]
    pub(crate) begin_log: bool,
    /// With --begin-log: go on behind this LSN, the highest that clients may have seen (`had_applied`, where the
    /// backup's making told it)
    #[arg(long, value_name = "LSN", requires = "begin_log")]
    pub(crate) behind: Option<u64>,
    /// Configuration file, with --begin-log [env: DOPPEL_CONFIG] [default: doppel.toml, if it is there]
    #[arg(long, value_name = "FILE", requires = "begin_log")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct PurgeArgs {
    /// The collection
    #[arg(short, long, value_name = "NAME")]
    pub(crate) collection: String,
    /// Also remove the server's own backups of it, and those of everything, from before
    #[arg(long)]
    pub(crate) delete_backups: bool,
    #[command(flatten)]
    pub(crate) target: ServerOrFolderArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// The photo; every face in it is looked for
    pub(crate) photo: PathBuf,
    /// The collection [default: the only one there is]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) collection: Option<String>,
    /// Look-alikes of each face
    #[arg(long, default_value_t = 10)]
    pub(crate) limit: u32,
    /// Print the server's answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// A data folder, and where settings come from.
#[derive(Debug, Args)]
pub(crate) struct FolderArgs {
    /// Folder of the database [env: DOPPEL_DATA_DIR] [default: ./data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<String>,
    /// Configuration file [env: DOPPEL_CONFIG] [default: doppel.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) folder: FolderArgs,
    /// Print the outcome as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    #[command(flatten)]
    pub(crate) folder: FolderArgs,
    /// Do it
    #[arg(long)]
    pub(crate) yes: bool,
    /// Also go on without records that are damaged, and without all that follow them
    #[arg(long)]
    pub(crate) accept_loss: bool,
}

impl ServeArgs {
    /// The flags that were given, as settings.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        let texts = [
            ("--data-dir", "data_dir", &self.data_dir),
            ("--listen", "listen", &self.listen),
            ("--log", "nats.servers", &self.log),
            ("--models-dir", "models_dir", &self.models_dir),
            ("--api-key", "api_key", &self.api_key),
            ("--log-level", "log_output.level", &self.log_level),
            ("--log-format", "log_output.format", &self.log_format),
        ];
        let set = self
            .set
            .iter()
            .map(|(key, value)| Flag::new("--set", key, value));
        let texts = texts.into_iter();
        let texts =
            texts.filter_map(|(flag, key, text)| Some(Flag::new(flag, key, text.as_ref()?)));
        let mut flags: Vec<Flag> = set.chain(texts).collect();
        if self.insecure {
            flags.push(Flag::new("--insecure", "insecure", "true"));
        }
        if self.no_install {
            flags.push(Flag::new(
                "--no-install",
                "models.install_on_start",
                "false",
            ));
        }
        flags
    }
}

impl FolderArgs {
    /// The flags that were given, as settings.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        let dir = self.data_dir.as_ref();
        let flag = dir.map(|dir| Flag::new("--data-dir", "data_dir", dir));
        flag.into_iter().collect()
    }
}

impl ImportArgs {
    /// The flags that concern a server of its own, as settings: it is for this import alone.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        let texts = [
            ("--data-dir", "data_dir", self.data_dir.as_ref()),
            ("--models-dir", "models_dir", self.models_dir.as_ref()),
            ("--api-key", "api_key", self.server.api_key.as_ref()),
        ];
        let texts = texts.into_iter();
        let texts = texts.filter_map(|(flag, key, text)| Some(Flag::new(flag, key, text?)));
        let own_port = Flag::new("--data-dir", "listen", "127.0.0.1:0");
        texts.chain([own_port]).collect()
    }
}

pub(crate) fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use config::{Config, Sources};

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    fn settings(line: &str) -> Config {
        let cli = parse(line).unwrap();
        let serve = match cli.command {
            Some(Command::Serve(serve)) => serve,
            None => cli.serve,
            other => panic!("{other:?}"),
        };
        let flags = serve.flags();
        Config::load(&Sources {
            flags,
            ..Sources::default()
        })
        .unwrap()
    }

    #[test]
    fn the_description_of_the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_at_all_serves_with_or_without_flags() {
        assert!(parse("doppel").unwrap().command.is_none());
        let config = settings("doppel --data-dir /d --no-install");
        assert_eq!(config.data_dir, PathBuf::from("/d"));
        assert!(!config.models.install_on_start);
    }

    #[test]
    fn every_flag_of_serve_reaches_its_setting() {
        let config = settings(
            "doppel serve --data-dir /d --listen 0.0.0.0:1 --models-dir /m --api-key 12345678 \
             --insecure --no-install --log-level warn --log-format json --set embedding.queue=7 \
             --log nats://n1:4222,nats://n2:4222",
        );
        assert_eq!(config.data_dir, PathBuf::from("/d"));
        assert_eq!(config.listen.to_string(), "0.0.0.0:1");
        assert_eq!(config.models_dir, PathBuf::from("/m"));
        assert_eq!(config.api_key.unwrap().as_str(), "12345678");
        assert!(config.insecure && !config.models.install_on_start);
        assert_eq!(config.log_output.level, config::Level::Warn);
        assert_eq!(config.log_output.format, config::LogFormat::Json);
        assert_eq!(config.embedding.queue, 7);
        assert_eq!(
            config.nats.unwrap().servers,
            ["nats://n1:4222", "nats://n2:4222"]
        );
    }

    #[test]
    fn an_import_goes_to_a_server_or_into_a_folder_not_both() {
        let error = parse("doppel import d --collection c --url u --data-dir f").unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::ArgumentConflict);
        assert_eq!(error.exit_code(), 2);
        assert!(parse("doppel import d --collection c --models-dir m").is_err());
        assert!(parse("doppel import d").is_err());
        assert!(parse("doppel import d --collection c --in-flight 0").is_err());
    }

    #[test]
    fn an_import_into_a_folder_listens_on_a_port_of_its_own() {
        let cli = parse("doppel import d --collection c --data-dir f --models-dir m").unwrap();
        let Some(Command::Import(import)) = cli.command else {
            panic!("not an import")
        };
        let flags = import.flags();
        let config = Config::load(&Sources {
            flags,
            ..Sources::default()
        });
        let config = config.unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:0");
        assert_eq!(config.data_dir, PathBuf::from("f"));
        assert_eq!(config.models_dir, PathBuf::from("m"));
    }
}
