//! Large photos at a server that may take little memory: none is decoded for which there is no room.

use std::io::{Cursor, Write};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use config::{Config, Flag, Sources};
use embedder::FakeEmbedder;
use server::{Embedding, Factory};

use super::Server;
use super::memory::most_mib;

const DATA: &str = "PHOTOS_DATA";
const LIMIT_MIB: u64 = 130;

/// Not a test: the server process of the one below, which this very binary becomes.
#[test]
#[ignore = "started by the test below"]
fn stand_in_server() {
    let Some(dir) = std::env::var_os(DATA) else {
        return;
    };
    let dir = PathBuf::from(dir);
    let flags = [
        ("data_dir", dir.join("data")),
        ("models_dir", dir.join("models")),
        ("listen", "127.0.0.1:0".into()),
        ("memory_limit_mib", LIMIT_MIB.to_string().into()),
        ("embedding.workers", "8".into()),
        ("embedding.queue", "24".into()),
        ("embedding.batch", "1".into()),
    ];
    let flags = flags.map(|(key, value)| Flag::new("test", key, value.to_str().unwrap()));
    let sources = Sources {
        flags: flags.into(),
        ..Sources::default()
    };
    let factory: Arc<Factory> = Arc::new(|| Ok(Box::new(FakeEmbedder::new()) as _));
    let config = Config::load(&sources).unwrap();
    let signals = server::Signals::catch().unwrap();
    let running = server::start_with(config, Embedding::Made(vec![factory])).unwrap();
    writeln!(
        std::io::stdout(),
        "\nlistening on http://{}/",
        running.addr()
    )
    .unwrap();
    running.wait(signals).unwrap();
}

/// Of four million pixels, in few bytes.
fn large() -> Vec<u8> {
    let stripes = image::RgbImage::from_fn(2_000, 2_000, |x, _| {
        image::Rgb([u8::try_from(x % 200).unwrap(); 3])
    });
    let mut bytes = Cursor::new(Vec::new());
    stripes
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

/// The head of a picture of 55 million pixels, nearly as many as may be.
fn huge() -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let dot = image::RgbImage::new(1, 1);
    dot.write_to(&mut bytes, image::ImageFormat::Bmp).unwrap();
    let mut bytes = bytes.into_inner();
    for at in [18, 22] {
        bytes[at..at + 4].copy_from_slice(&7_400_i32.to_le_bytes());
    }
    bytes
}

fn detect(server: &Server, photo: &[u8]) -> (u16, Option<String>, String) {
    let url = format!("{}/faces/detect", server.url);
    let request = server.agent.post(url).content_type("image/png");
    let mut answer = request.send(photo).unwrap();
    let retry = answer.headers().get("retry-after");
    let retry = retry.map(|it| it.to_str().unwrap().to_owned());
    let text = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), retry, text)
}

#[test]
fn large_photos_at_once_take_no_more_memory_than_there_is_and_wait_or_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--ignored",
            "--exact",
            "--nocapture",
            "photos::stand_in_server",
        ])
        .env(DATA, dir.path());
    let server = Server::of(command, dir.path());
    let photo = large();
    let (most, answers) = most_mib(&server, || {
        std::thread::scope(|scope| {
            let (server, photo) = (&server, &photo);
            let clients = (0..24).map(|_| scope.spawn(move || detect(server, photo)));
            let clients: Vec<_> = clients.collect();
            let answers = clients.into_iter().map(|it| it.join().unwrap());
            answers.collect::<Vec<_>>()
        })
    });
    let told = answers
        .iter()
        .filter(|(status, retry, text)| match (status, retry.as_deref()) {
            (200, _) => false,
            (503, Some("1")) if text.contains("not enough memory") => true,
            other => panic!("{other:?}: {text}"),
        });
    let told = told.count();
    eprintln!("{most} MiB at most, {told} of 24 were told to come back");
    assert!(most <= LIMIT_MIB, "{most} MiB");
    assert!(told < 24, "none was looked at");
    assert_eq!(detect(&server, &photo).0, 200);
    let (status, _, text) = detect(&server, &huge());
    assert_eq!(status, 413, "{text}");
    assert!(text.contains("send a smaller one"), "{text}");
    let metrics = server.send("GET", "/metrics", &serde_json::Value::Null).1;
    assert!(metrics.contains("doppel_memory_promised_bytes 0\n"));
}
