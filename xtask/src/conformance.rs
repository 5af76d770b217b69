//! The official clients of the dialect and the examples, against the `doppel` that was built, each
//! program with a server of its own. What they need is installed into the build's folder in the
//! versions that `conformance/` pins. A machine without Python, Node or network can still run
//! everything else: the gate then says what it skipped.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Programs that are run, with the interpreter that runs them.
const PROGRAMS: [(Interpreter, &str); 8] = [
    (Interpreter::Python, "conformance/python_client.py"),
    (Interpreter::Python, "conformance/langchain_store.py"),
    (Interpreter::Python, "conformance/wire.py"),
    (Interpreter::Python, "conformance/described.py"),
    (Interpreter::Node, "conformance/js_client.mjs"),
    (Interpreter::Python, "examples/vectors.py"),
    (Interpreter::Node, "examples/vectors.mjs"),
    (Interpreter::Shell, "examples/vectors.sh"),
];

#[derive(Clone, Copy)]
pub(crate) enum Interpreter {
    Python,
    Node,
    Shell,
}

/// Whether everything could be run.
pub(crate) enum Outcome {
    /// All of it.
    Ran,
    /// Not all; the text says why.
    Skipped(String),
}

/// Installs the clients if they are not there and runs every program.
pub(crate) fn run(target_dir: &Path, models_dir: Option<&Path>) -> Result<Outcome> {
    let root = root()?;
    let home = target_dir.join("conformance");
    if let Err(why) = install(root, &home) {
        eprintln!("NOTICE: the official clients cannot be installed: {why:#}");
        return Ok(Outcome::Skipped(format!("{why:#}")));
    }
    let binary = target_dir.join("debug").join("doppel");
    for (interpreter, program) in PROGRAMS {
        let server = Server::start(&binary, &home, models_dir)?;
        run_program(root, &home, (interpreter, program), &server.url, None)?;
    }
    if let Some(models_dir) = models_dir {
        let photos = match photos(target_dir) {
            Ok(photos) => photos,
            Err(why) => return Ok(Outcome::Skipped(format!("no photos: {why:#}"))),
        };
        let server = Server::start(&binary, &home, Some(models_dir))?;
        server.wait_ready()?;
        let program = (Interpreter::Python, "examples/photos.py");
        run_program(root, &home, program, &server.url, Some(&photos))?;
        drop(server);
        compreface(root, &home, (&binary, models_dir), &photos)?;
    }
    Ok(Outcome::Ran)
}

/// The key of the settings of the server that CompreFace's clients ask.
const COMPREFACE_ROOT: &str = "the-key-of-these-settings";

/// CompreFace's own clients, each against a server that is set up for them.
fn compreface(
    root: &Path,
    home: &Path,
    (binary, models_dir): (&Path, &Path),
    photos: &Path,
) -> Result<()> {
    let apart = home.join("compreface");
    fs::create_dir_all(&apart)?;
    python_with(
        &root.join("conformance/compreface-requirements.txt"),
        &apart,
    )?;
    for (interpreter, program, home_of_it) in [
        (
            Interpreter::Python,
            "conformance/compreface_client.py",
            &*apart,
        ),
        (Interpreter::Node, "conformance/compreface_client.mjs", home),
    ] {
        let settings = [
            ("DOPPEL_COMPREFACE__COLLECTION", "compreface"),
            ("DOPPEL_API_KEY", COMPREFACE_ROOT),
        ];
        let server = Server::start_with(binary, home, Some(models_dir), &settings)?;
        server.wait_ready()?;
        let program = (interpreter, program);
        run_program(root, home_of_it, program, &server.url, Some(photos))?;
    }
    Ok(())
}

pub(crate) fn run_program(
    root: &Path,
    home: &Path,
    (interpreter, program): (Interpreter, &str),
    url: &str,
    argument: Option<&Path>,
) -> Result<()> {
    let path = root.join(program);
    let mut command = match interpreter {
        Interpreter::Python => Command::new(python(home)),
        Interpreter::Node => Command::new("node"),
        Interpreter::Shell => Command::new("bash"),
    };
    // Node looks for modules beside the program, so it is run from a copy beside them.
    let path = match interpreter {
        Interpreter::Node => {
            let name = program.replace('/', "-");
            let copy = home.join("js").join(name);
            fs::copy(&path, &copy)?;
            copy
        }
        _ => path,
    };
    let path_of_venv = home.join("python").join("bin");
    let search = std::env::var("PATH").unwrap_or_default();
    command
        .arg(path)
        .arg(url)
        .args(argument)
        .current_dir(home)
        .env("PATH", format!("{}:{search}", path_of_venv.display()))
        .env("DOPPEL_API_KEY", COMPREFACE_ROOT)
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1");
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{program} ended with {status}");
    }
    Ok(())
}

/// A folder of photos of a few people, one for each, or why there is none. What is there already is
/// not fetched again.
pub(crate) fn photos(target_dir: &Path) -> Result<PathBuf> {
    let root = root()?;
    let home = target_dir.join("photos");
    fs::create_dir_all(&home)?;
    let requirements = root.join("conformance/photos-requirements.txt");
    python_with(&requirements, &home)?;
    let mut get = Command::new(python(&home));
    get.arg(root.join("conformance/photos.py")).arg(&home);
    quiet(&mut get)?;
    Ok(home.join("people"))
}

pub(crate) fn root() -> Result<&'static Path> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.context("xtask has no parent folder")
}

pub(crate) fn python(home: &Path) -> PathBuf {
    home.join("python").join("bin").join("python")
}

/// Does nothing when what is pinned is there.
fn install(root: &Path, home: &Path) -> Result<()> {
    fs::create_dir_all(home.join("js"))?;
    python_with(&root.join("conformance/requirements.txt"), home)?;
    let package = root.join("conformance").join("package.json");
    once(&package, &home.join("js.installed"), || {
        fs::copy(&package, home.join("js").join("package.json"))?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--silent", "--prefix"]);
        quiet(npm.arg(home.join("js")))
    })
}

/// A Python of its own in a folder, with what a file of requirements pins.
pub(crate) fn python_with(requirements: &Path, home: &Path) -> Result<()> {
    if !python(home).exists() {
        let mut make = Command::new("python3");
        quiet(make.args(["-m", "venv"]).arg(home.join("python")))?;
    }
    once(requirements, &home.join("python.installed"), || {
        let mut pip = Command::new(python(home));
        pip.args(["-m", "pip", "install", "--quiet"]);
        pip.args(["--disable-pip-version-check", "-r"]);
        quiet(pip.arg(requirements))
    })
}

/// Does `work` unless it has been done for a file with this content.
pub(crate) fn once(file: &Path, mark: &Path, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let wanted = fs::read(file)?;
    if fs::read(mark).is_ok_and(|done| done == wanted) {
        return Ok(());
    }
    work()?;
    Ok(fs::write(mark, wanted)?)
}

pub(crate) fn quiet(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or_default();
        bail!("{command:?}: {last}");
    }
    Ok(())
}

/// A `doppel serve` over a new folder; killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    data: PathBuf,
}

impl Server {
    pub(crate) fn start(binary: &Path, home: &Path, models_dir: Option<&Path>) -> Result<Self> {
        Self::start_with(binary, home, models_dir, &[])
    }

    fn start_with(
        binary: &Path,
        home: &Path,
        models_dir: Option<&Path>,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let data = home.join("data");
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        let models = models_dir.map_or_else(|| home.join("no-models"), Path::to_path_buf);
        let mut command = Command::new(binary);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--no-install"])
            .args(["--log-level", "error"])
            .arg("--data-dir")
            .arg(&data)
            .env("DOPPEL_MODELS_DIR", &models)
            .envs(settings.iter().copied())
            .stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("no standard output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let url = line.trim().strip_prefix("listening on ");
        let url = url.context("the server did not say where it listens")?;
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            child,
            data,
        })
    }
}

impl Server {
    /// Waits until the face models are loaded.
    fn wait_ready(&self) -> Result<()> {
        let address = self.url.trim_start_matches("http://");
        loop {
            let mut stream = TcpStream::connect(address)?;
            stream.write_all(
                b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
            )?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            if answer.starts_with("HTTP/1.1 200") {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, and the folder is emptied at the next start anyway.
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.data));
    }
}
