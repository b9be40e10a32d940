//! The release binary at work: `epost sandbox` for the stand-ins and the test PKI, `epost serve` for the service alone.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

/// A service at work in a folder of its own; ends with this value.
pub(crate) struct House {
    pub(crate) service: Process,
    pub(crate) stand_ins: Process,
    /// Where the service listens.
    pub(crate) address: String,
    /// `sandbox.json`.
    pub(crate) sandbox: Value,
    config: PathBuf,
    folder: tempfile::TempDir,
}

impl House {
    pub(crate) fn start() -> Self {
        build();
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let directory = folder.path().to_str().unwrap();
        let (stand_ins, _) =
            Process::start(&["sandbox", directory, "--listen", "127.0.0.1:0"], folder.path(), "ready;");
        let text = std::fs::read_to_string(folder.path().join("sandbox.json")).unwrap();
        let sandbox = serde_json::from_str(&text).unwrap();
        let config = write_config(folder.path());
        let (service, greeting) =
            Process::start(&["serve", "--config", config.to_str().unwrap()], folder.path(), GREETING);
        let address = greeting.trim_start_matches(GREETING).split(';').next().unwrap().to_owned();
        Self { service, stand_ins, address, sandbox, config, folder }
    }

    /// Where everything lies.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Until the service has nothing more to do: everything accepted is delivered.
    pub(crate) fn wait_until_at_rest(&self) {
        let mut before = self.service.cpu();
        loop {
            std::thread::sleep(Duration::from_millis(500));
            let now = self.service.cpu();
            if now - before <= AT_REST_MAX {
                return;
            }
            before = now;
        }
    }

    /// Kills the service and has the journal judged from its bytes: what was answered is there.
    pub(crate) fn kill_and_verify(mut self) -> String {
        self.service.0.kill().unwrap();
        self.service.0.wait().unwrap();
        let config = self.config.to_str().unwrap();
        let output = Command::new(binary()).args(["journal", "verify", "--config", config]).output().unwrap();
        assert!(output.status.success(), "the journal is not whole: {output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

/// The service's own configuration: the sandbox's, with another port and data of its own.
fn write_config(folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(folder.join("epost.toml")).unwrap();
    let lines = text.lines().map(|line| match line {
        _ if line.starts_with("address = ") => "address = \"127.0.0.1:0\"",
        "directory = \"data\"" => "directory = \"served\"",
        _ => line,
    });
    let config = folder.join("serve.toml");
    std::fs::write(&config, lines.collect::<Vec<_>>().join("\n")).unwrap();
    config
}

/// The binary of this very tree: cargo builds it if it is not there yet.
fn build() {
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--package", "epost", "--bin", "epost"])
        .status()
        .unwrap();
    assert!(status.success(), "epost does not build");
}

/// Benches lie in `release/deps`, the binary one above.
fn binary() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().with_file_name("epost")
}

/// One of the processes; killed with this value.
pub(crate) struct Process(Child);

impl Process {
    /// Starts `epost` and waits for the line that begins with `greeting`; its log goes into `folder`.
    fn start(arguments: &[&str], folder: &Path, greeting: &str) -> (Self, String) {
        let log = std::fs::File::create(folder.join(format!("{}.log", arguments[0]))).unwrap();
        let mut child = Command::new(binary())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let process = Self(child);
        let said = lines.map_while(Result::ok).find(|line| line.starts_with(greeting));
        let said = said.unwrap_or_else(|| {
            let log = std::fs::read_to_string(folder.join(format!("{}.log", arguments[0])));
            panic!("epost {} did not start: {}", arguments[0], log.unwrap_or_default())
        });
        (process, said)
    }

    /// The CPU time that it has used, in user and system mode.
    pub(crate) fn cpu(&self) -> Duration {
        Self::cpu_of(self.0.id())
    }

    /// The same of any process: fields 14 and 15 of `/proc/PID/stat`, counted after the name in parentheses.
    pub(crate) fn cpu_of(id: u32) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const GREETING: &str = "ePost serves on ";
/// In half a second: what the service's own clockwork takes.
const AT_REST_MAX: Duration = Duration::from_millis(10);
