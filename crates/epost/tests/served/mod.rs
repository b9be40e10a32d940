//! `epost serve` in a process of its own, beside the sandbox's stand-ins.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use epost::client::Settings;

use crate::programs::Sandbox;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_epost");

/// The sandbox's configuration, with another port and data of its own: its service is not the one that is killed.
pub(crate) fn own_config(folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(folder.join("epost.toml")).unwrap();
    let own = text.lines().map(|line| match line {
        _ if line.starts_with("address = ") => "address = \"127.0.0.1:0\"",
        "directory = \"data\"" => "directory = \"served\"",
        _ => line,
    });
    let config = folder.join("serve.toml");
    std::fs::write(&config, own.collect::<Vec<_>>().join("\n")).unwrap();
    config
}

#[track_caller]
pub(crate) fn wait_for(reached: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !reached() {
        assert!(Instant::now() < deadline, "not within two minutes");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// `epost serve` and the address it told; killed with this.
pub(crate) struct Service(pub(crate) Child, String);

impl Service {
    pub(crate) fn start(program: &Path, config: &Path) -> Self {
        let mut serve = Command::new(program);
        let serve =
            serve.args(["serve", "--config"]).arg(config).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = serve.spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address =
            said.find_map(|line| Some(line.strip_prefix("ePost serves on ")?.split(';').next()?.to_owned()));
        Self(child, address.expect("it starts"))
    }

    pub(crate) fn settings(&self, stand_ins: &Sandbox, folder: &Path) -> Settings {
        let endpoint = Some(format!("https://{}/RegisteredMail/v1", self.1));
        Settings { endpoint, ..stand_ins.settings(folder) }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
