//! Settings as a process meets them: a file on disk, variables, flags. Each layer wins over the
//! one before, and whatever is wrong is refused with its key, its origin and what would be right.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::PathBuf;

use config::{Config, Flag, Level, LogFormat, Sources};

/// Sources with a file of this text, which lives as long as the folder that comes with them.
fn with_file(text: &str) -> (tempfile::TempDir, Sources) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.toml");
    std::fs::write(&path, text).unwrap();
    let sources = Sources {
        file: Some(path),
        ..Sources::default()
    };
    (folder, sources)
}

fn with_variables(variables: &[(&str, &str)]) -> Sources {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Sources {
        environment: variables.iter().map(own).collect(),
        ..Sources::default()
    }
}

fn with_flag(flag: &str, key: &str, value: &str) -> Sources {
    Sources {
        flags: vec![Flag::new(flag, key, value)],
        ..Sources::default()
    }
}

fn refusal(sources: &Sources) -> String {
    Config::load(sources).unwrap_err().to_string()
}

fn file_refusal(text: &str) -> String {
    let (folder, sources) = with_file(text);
    let place = format!("{}/", folder.path().display());
    refusal(&sources).replace(&place, "")
}

#[test]
fn without_any_source_the_defaults_hold() {
    let config = Config::load(&Sources::default()).unwrap();
    assert_eq!(config.data_dir, PathBuf::from("./data"));
    assert_eq!(config.models_dir, PathBuf::from("./models"));
    assert_eq!(config.listen.to_string(), "127.0.0.1:6333");
    assert!(config.api_key.is_none() && !config.insecure);
    assert!(config.models.install_on_start);
    assert!(config.server.workers > 0 && config.embedding.workers > 0);
    assert_eq!(config.server.max_body_mib, 64);
    assert_eq!(config.embedding.queue, 64);
    assert_eq!(config.embedding.intra_threads, 1);
    assert_eq!(
        (config.checkpoint.log_mib, config.checkpoint.interval_s),
        (256, 300)
    );
    assert_eq!(config.log.segment_mib, 64);
    assert_eq!(config.log_output.level, Level::Info);
    assert_eq!(config.log_output.format, LogFormat::Text);
}

#[test]
fn a_file_wins_over_a_default_a_variable_over_a_file_a_flag_over_a_variable() {
    let (_folder, mut sources) = with_file("[checkpoint]\ninterval_s = 11\nlog_mib = 12\n");
    let seen = |sources: &Sources| Config::load(sources).unwrap().checkpoint.interval_s;
    assert_eq!(seen(&sources), 11);
    let variable = ("DOPPEL_CHECKPOINT__INTERVAL_S".to_owned(), "22".to_owned());
    sources.environment.push(variable);
    assert_eq!(seen(&sources), 22);
    let flag = Flag::new("--checkpoint-interval-s", "checkpoint.interval_s", "33");
    sources.flags.push(flag);
    assert_eq!(seen(&sources), 33);
    assert_eq!(Config::load(&sources).unwrap().checkpoint.log_mib, 12);
}

#[test]
fn the_variables_that_scripts_lean_on_work() {
    let config = Config::load(&with_variables(&[
        ("DOPPEL_DATA_DIR", "/d"),
        ("DOPPEL_MODELS_DIR", "/m"),
        ("DOPPEL_LISTEN", "localhost:7000"),
        ("DOPPEL_API_KEY", "correct-horse"),
        ("DOPPEL_LOG_OUTPUT__FORMAT", "json"),
        ("DOPPEL_MODELS__INSTALL_ON_START", "false"),
    ]))
    .unwrap();
    assert_eq!(config.data_dir, PathBuf::from("/d"));
    assert_eq!(config.models_dir, PathBuf::from("/m"));
    assert_eq!(config.listen.to_string(), "127.0.0.1:7000");
    assert_eq!(config.api_key.unwrap().as_str(), "correct-horse");
    assert_eq!(config.log_output.format, LogFormat::Json);
    assert!(!config.models.install_on_start);
}

#[test]
fn variables_that_are_no_settings_are_passed_over() {
    let names = [
        "DOPPEL_SIMD",
        "DOPPEL_PYTHON",
        "DOPPEL_URL",
        "DOPPEL_CA",
        "DOPPEL_CLIENT_CERT",
        "DOPPEL_CLIENT_KEY",
        "DOPPEL_SHARED",
        "DOPPEL_NATS_SERVER",
        "HOME",
        "DOPPELX",
    ];
    let variables: Vec<_> = names.iter().map(|name| (*name, "anything")).collect();
    let config = Config::load(&with_variables(&variables)).unwrap();
    assert_eq!(config, Config::load(&Sources::default()).unwrap());
}

#[test]
fn the_file_is_the_flags_else_the_variables_else_the_one_in_the_working_directory() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, seconds: u32| {
        let path = folder.path().join(name);
        let text = format!("[checkpoint]\ninterval_s = {seconds}\n");
        std::fs::write(&path, text).unwrap();
        path
    };
    write("doppel.toml", 1);
    let by_variable = write("variable.toml", 2);
    let by_flag = write("flag.toml", 3);
    let mut sources = Sources::default();
    let seen = |sources: &Sources| Config::load(sources).unwrap().checkpoint.interval_s;
    assert_eq!(seen(&sources), 300);
    sources.working_dir = Some(folder.path().to_path_buf());
    assert_eq!(seen(&sources), 1);
    let path = by_variable.to_str().unwrap().to_owned();
    sources.environment = vec![("DOPPEL_CONFIG".to_owned(), path)];
    assert_eq!(seen(&sources), 2);
    sources.file = Some(by_flag);
    assert_eq!(seen(&sources), 3);
}

#[test]
fn a_file_asked_for_that_is_not_there_is_an_error() {
    let message = refusal(&with_variables(&[(
        "DOPPEL_CONFIG",
        "/nowhere/doppel.toml",
    )]));
    assert!(message.starts_with("cannot read the configuration file /nowhere/doppel.toml"));
}

#[test]
fn a_misspelt_key_is_refused_with_its_line_and_the_right_one() {
    assert_eq!(
        file_refusal("data_dir = 'd'\n[checkpoint]\nintervall_s = 3\n"),
        "settings.toml:3: unknown key `checkpoint.intervall_s`; \
         did you mean `checkpoint.interval_s`?"
    );
}

#[test]
fn a_key_in_the_wrong_place_is_refused() {
    let message = file_refusal("interval_s = 3\n");
    assert!(
        message.starts_with("settings.toml:1: unknown key `interval_s`"),
        "{message}"
    );
    let message = file_refusal("checkpoint = 3\n");
    assert!(message.contains("`checkpoint` is a section, with `checkpoint.interval_s`"));
    let message = file_refusal("[listen]\nport = 3\n");
    assert!(message.contains("unknown key `listen.port`"), "{message}");
    let message = file_refusal("[listen]\n");
    assert!(message.contains("`listen` is a section, but must be an IP address"));
}

#[test]
fn an_unknown_section_is_refused_though_it_is_empty() {
    let message = file_refusal("\n[zebra]\n");
    assert_eq!(
        message,
        "settings.toml:2: unknown key `zebra`; doppel.example.toml lists every key"
    );
    let (_folder, sources) = with_file("[checkpoint]\n[server]\n");
    Config::load(&sources).unwrap();
}

#[test]
fn an_unknown_variable_is_refused_by_its_name() {
    assert_eq!(
        refusal(&with_variables(&[("DOPPEL_DATADIR", "/d")])),
        "environment variable DOPPEL_DATADIR: unknown key `datadir`; did you mean `data_dir`?"
    );
}

#[test]
fn a_bad_value_is_refused_with_its_origin_and_what_would_be_right() {
    assert_eq!(
        file_refusal("[checkpoint]\ninterval_s = 0\n"),
        "settings.toml:2: `checkpoint.interval_s` is 0, but must be a whole number from 1 to 86400"
    );
    assert_eq!(
        refusal(&with_variables(&[("DOPPEL_SERVER__MAX_BODY_MIB", "lots")])),
        "environment variable DOPPEL_SERVER__MAX_BODY_MIB: `server.max_body_mib` is \"lots\", \
         but must be a whole number from 1 to 1024"
    );
    assert_eq!(
        refusal(&with_flag("--listen", "listen", "6333")),
        "flag --listen: `listen` is \"6333\", but must be an IP address and a port, \
         such as 127.0.0.1:6333 or [::1]:6333"
    );
    let message = refusal(&with_flag("--log-level", "log_output.level", "loud"));
    assert!(message.ends_with("must be one of `error`, `warn`, `info`, `debug`, `trace`"));
}

#[test]
fn values_of_the_wrong_type_are_refused() {
    let cases = [
        ("data_dir = 7\n", "`data_dir` is 7"),
        ("data_dir = ''\n", "`data_dir` is \"\""),
        (
            "insecure = 'true'\n",
            "`insecure` is \"true\", but must be true or false",
        ),
        ("[embedding]\nqueue = '64'\n", "`embedding.queue` is \"64\""),
        ("[embedding]\nqueue = 6.4\n", "`embedding.queue` is 6.4"),
        ("[embedding]\nqueue = -1\n", "`embedding.queue` is -1"),
        (
            "[embedding]\nqueue = [1]\n",
            "`embedding.queue` is an array",
        ),
        (
            "[embedding]\nqueue = 99999999999999999999\n",
            "`embedding.queue` is 999",
        ),
        ("listen = 2026-01-01\n", "`listen` is 2026-01-01"),
    ];
    for (text, expected) in cases {
        let message = file_refusal(text);
        assert!(message.contains(expected), "{text:?} gave {message}");
    }
}

#[test]
fn an_address_that_others_reach_needs_a_key_or_plain_words() {
    for open in ["0.0.0.0:6333", "[::]:6333", "192.168.1.4:80"] {
        let mut sources = with_flag("--listen", "listen", open);
        let message = refusal(&sources);
        let start = format!("flag --listen: `listen` is {open}, which other machines can reach");
        assert!(message.starts_with(&start), "{message}");
        let key = ("DOPPEL_API_KEY".to_owned(), "correct-horse".to_owned());
        sources.environment.push(key);
        Config::load(&sources).unwrap();
        sources.environment = vec![("DOPPEL_INSECURE".to_owned(), "true".to_owned())];
        Config::load(&sources).unwrap();
    }
    for local in ["127.0.0.1:0", "[::1]:6333", "127.8.8.8:1"] {
        Config::load(&with_flag("--listen", "listen", local)).unwrap();
    }
}

#[test]
fn no_message_and_no_debug_output_shows_the_key() {
    for key in ["short", "has a space in it", ""] {
        let message = refusal(&with_variables(&[("DOPPEL_API_KEY", key)]));
        assert_eq!(
            message,
            "environment variable DOPPEL_API_KEY: `api_key` is (not shown), but must be \
             8 to 1024 printable ASCII characters without spaces"
        );
    }
    let config = Config::load(&with_variables(&[("DOPPEL_API_KEY", "correct-horse")])).unwrap();
    assert!(!format!("{config:?}").contains("horse"));
}

#[test]
fn of_two_settings_that_belong_together_the_one_that_is_set_is_named_with_its_place() {
    let told = refusal(&with_variables(&[(
        "DOPPEL_NATS__PASSWORD",
        "correct-horse",
    )]));
    assert_eq!(
        told,
        "environment variable DOPPEL_NATS__PASSWORD: `nats.password` and `nats.user` belong together, and only the first \
         is set: set both, or neither"
    );
    let told = file_refusal("[nats]\nuser = \"doppel\"\n");
    assert!(
        told.starts_with("settings.toml:2: `nats.user` and `nats.password` belong together"),
        "{told}"
    );
}
