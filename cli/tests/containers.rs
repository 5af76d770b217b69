//! The files for containers name what there is: settings that doppel knows, paths of this repository, the
//! program that is built, ports and services that fit each other. No engine is asked.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{code, complaint, doppel};
use config::{Config, Sources};

const COMPOSE: [&str; 2] = ["compose.yaml", "compose.split.yaml"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What stands behind each of these words at the beginning of a line.
fn lines<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines()
        .filter_map(move |line| line.trim().strip_prefix(word))
        .map(str::trim)
}

/// Variables of the image.
fn of_image() -> Vec<(String, String)> {
    let text = read("Dockerfile");
    let all = lines(&text, "ENV ").flat_map(str::split_whitespace);
    let all = all.filter_map(|it| it.split_once('='));
    all.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The services of a compose file with the lines of each; what they share is among the first's.
fn services(text: &str) -> Vec<(String, Vec<String>)> {
    let mut services: Vec<(String, Vec<String>)> = Vec::new();
    let mut within = false;
    for line in text.lines() {
        if !line.starts_with([' ', '#']) {
            within = line == "services:";
        }
        let name = line.strip_prefix("  ").and_then(|it| it.strip_suffix(':'));
        match name.filter(|it| within && !it.starts_with(' ')) {
            Some(name) => services.push((name.to_owned(), Vec::new())),
            None if within => {
                if let Some((_, lines)) = services.last_mut() {
                    lines.push(line.trim().to_owned());
                }
            }
            None => {}
        }
    }
    services
}

/// Settings of a service, with something in the place of what the host says.
fn settings(lines: &[String]) -> Vec<(String, String)> {
    let variables = lines.iter().filter(|line| line.starts_with("DOPPEL_"));
    let pairs = variables.map(|line| line.split_once(':').unwrap());
    pairs
        .map(|(name, value)| {
            let value = value.trim();
            let value = if value.starts_with("${") {
                "something-secret"
            } else {
                value
            };
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

fn load(more: Vec<(String, String)>) -> Config {
    let sources = Sources {
        environment: of_image().into_iter().chain(more).collect(),
        ..Sources::default()
    };
    Config::load(&sources).unwrap()
}

#[test]
fn every_setting_of_a_container_is_one_and_lets_others_in() {
    for file in COMPOSE {
        let services = services(&read(file));
        let ours = services.iter().map(|(name, lines)| (name, settings(lines)));
        let ours: Vec<_> = ours.filter(|(_, settings)| !settings.is_empty()).collect();
        assert!(!ours.is_empty(), "{file}");
        for (name, settings) in ours {
            let config = load(settings);
            assert!(!config.listen.ip().is_loopback(), "{file}: {name}");
            assert!(config.api_key.is_some(), "{file}: {name}");
            for dir in [&config.data_dir, &config.models_dir] {
                assert!(dir.starts_with("/data"), "{file}: {name}: {dir:?}");
            }
            let remote = config.embedding.remote.map(|it| it.url);
            let there = |url: &String| {
                let host = url
                    .strip_prefix("http://")
                    .unwrap()
                    .split_once(':')
                    .unwrap();
                let is_service = services.iter().any(|(name, _)| name == host.0);
                is_service && host.1 == config.listen.port().to_string()
            };
            assert!(remote.as_ref().is_none_or(there), "{file}: {remote:?}");
        }
    }
}

#[test]
fn the_image_has_the_program_that_is_built_and_asks_it_whether_it_is_ready() {
    let text = read("Dockerfile");
    let program = Path::new(env!("CARGO_BIN_EXE_doppel")).file_name();
    let copied: Vec<_> = lines(&text, "COPY --from=build ").collect();
    let [copied] = copied.as_slice() else {
        panic!("{copied:?}")
    };
    let (from, to) = copied.split_once(' ').unwrap();
    let folder = lines(&text, "WORKDIR ").next().unwrap();
    assert_eq!(
        Path::new(from).parent().unwrap(),
        Path::new(folder).join("target/release")
    );
    assert_eq!(Path::new(from).file_name(), program);
    assert_eq!(Path::new(to).parent().unwrap(), Path::new("/usr/bin"));
    let package = format!("--package {}", env!("CARGO_PKG_NAME"));
    assert!(text.contains(&package), "{package}");
    // As the toolchain of the repository, so that none is fetched in the build.
    let toolchain = read("rust-toolchain.toml");
    let version = toolchain.split('"').nth(1).unwrap();
    let image = lines(&text, "FROM rust:").next().unwrap();
    let image = image.split('-').next().unwrap();
    assert!(version.starts_with(image), "{version} and {image}");

    let port = load(vec![("DOPPEL_API_KEY".into(), "something-secret".into())])
        .listen
        .port();
    assert_eq!(lines(&text, "EXPOSE ").next().unwrap(), port.to_string());
    let probe = format!("http://127.0.0.1:{port}/readyz");
    assert!(lines(&text, "HEALTHCHECK ").any(|it| it.contains(&probe)));
    let command: Vec<String> = lines(&text, "CMD ")
        .flat_map(|it| serde_json::from_str::<Vec<String>>(it).unwrap())
        .collect();
    let told = doppel(&[], &[&[command[0].as_str()], &["--help"][..]].concat());
    assert_eq!(code(&told), 0, "{command:?}: {}", complaint(&told));
    // Nothing that the build reads is kept from it.
    for kept_out in read(".dockerignore").lines() {
        let needed = [
            "cli",
            "server",
            "web",
            "Cargo.lock",
            ".cargo",
            "rust-toolchain.toml",
        ];
        assert!(!needed.contains(&kept_out), "{kept_out}");
    }
}

#[test]
fn every_path_port_and_service_of_the_compose_files_is_there() {
    for file in COMPOSE {
        let text = read(file);
        let services = services(&text);
        let shared = read("Dockerfile");
        let port = lines(&shared, "EXPOSE ").next().unwrap();
        let volumes = text.split_once("\nvolumes:\n").unwrap().1;
        for (name, lines) in &services {
            let quoted = lines
                .iter()
                .flat_map(|line| line.split('"').skip(1).step_by(2));
            for part in quoted {
                let place = part.split(':').next().unwrap();
                if place.starts_with("./") {
                    assert!(root().join(place).exists(), "{file}: {name}: {part}");
                } else if part.contains(":/") && !part.contains("//") {
                    assert!(
                        volumes.contains(&format!("  {place}:")),
                        "{file}: {name}: {part}"
                    );
                }
                if part.starts_with("127.0.0.1:") && part.ends_with("6333") {
                    assert!(part.ends_with(port), "{file}: {name}: {part}");
                }
            }
            for line in lines
                .iter()
                .filter_map(|it| it.strip_prefix("depends_on: ["))
            {
                let other = line.trim_end_matches(']');
                assert!(
                    services.iter().any(|(name, _)| name == other),
                    "{file}: {name}: {line}"
                );
            }
        }
    }
    let compose = read("compose.yaml");
    let scraped = read("packaging/prometheus/prometheus.yml");
    assert!(
        scraped.contains("/run/secrets/doppel_key") && compose.contains("secrets: [doppel_key]")
    );
    assert!(scraped.contains("targets: [\"doppel:6333\"]"));
    let settings = lines(&compose, "command: ").next().unwrap();
    let settings = settings.split("--config.file=").nth(1).unwrap();
    let settings = settings.split('"').next().unwrap();
    let mounted = settings.strip_prefix("/etc/prometheus/").unwrap();
    assert!(root().join("packaging/prometheus").join(mounted).exists());
    for rules in lines(&scraped, "- ").filter(|it| it.ends_with(".yml")) {
        assert!(
            root().join("packaging/prometheus").join(rules).exists(),
            "{rules}"
        );
    }
    let boards = read("packaging/grafana/provisioning/dashboards/doppel.yml");
    let boards = lines(&boards, "path: ").next().unwrap();
    assert!(
        compose.contains(&format!("./packaging/grafana:{boards}:ro")),
        "{boards}"
    );
    let source = read("packaging/grafana/provisioning/datasources/prometheus.yml");
    assert!(source.contains("url: http://prometheus:9090"));
    assert!(
        services(&compose)
            .iter()
            .any(|(name, _)| name == "prometheus")
    );
}

#[test]
fn every_command_that_the_files_tell_to_run_is_one() {
    let mut told = 0;
    for file in ["Dockerfile", "compose.yaml", "compose.split.yaml"] {
        let text = read(file).replace("\n#", " ");
        let commands = text.split('`').skip(1).step_by(2);
        for command in commands.filter(|it| it.starts_with("doppel ")) {
            let arguments: Vec<&str> = command.split_whitespace().skip(1).collect();
            // Nobody listens there, and no server is started: what is wrong is told before.
            let nowhere = ["--url", "http://127.0.0.1:9"];
            let output = doppel(
                &[("DOPPEL_API_KEY", "something-secret")],
                &[&arguments[..], &nowhere[..]].concat(),
            );
            assert_eq!(code(&output), 1, "{command}: {}", complaint(&output));
            for scope in arguments.windows(2).filter(|it| it[0] == "--scope") {
                let help = doppel(&[], &["keys", "create", "--help"]);
                assert!(common::text(&help).contains(scope[1]), "{command}");
            }
            told += 1;
        }
    }
    assert_eq!(told, 2, "one for Prometheus, one for the searcher");
}
