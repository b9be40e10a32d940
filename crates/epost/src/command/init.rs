//! `epost init`: a commented configuration to start from.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::could_not_run;
use crate::config::{POLICY_TEMPLATE, TEMPLATE};

/// Where to write.
#[derive(clap::Args)]
pub struct Args {
    /// The folder for epost.toml, policy.toml, secrets/master.key and secrets/log.key; files that exist are kept.
    dir: PathBuf,
}

/// Writes what is missing and says what to do next.
pub fn run(args: &Args) -> ExitCode {
    match write_all(&args.dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => could_not_run(&format!("init.unwritable: {}: {error}", args.dir.display())),
    }
}

fn write_all(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir.join("secrets"))?;
    write_new(&dir.join("epost.toml"), TEMPLATE.as_bytes())?;
    write_new(&dir.join("policy.toml"), POLICY_TEMPLATE.as_bytes())?;
    let mut master_key = [0; 32];
    pki::random::fill(&mut master_key).map_err(std::io::Error::other)?;
    write_secret(&dir.join("secrets/master.key"), &master_key)?;
    let log_key = pki::ed25519::Ed25519Key::random().and_then(|key| key.to_pem());
    write_secret(&dir.join("secrets/log.key"), &log_key.map_err(std::io::Error::other)?)?;
    println!("\nNext: put certificates and keys where epost.toml names them, then");
    println!("  epost check --config {}", dir.join("epost.toml").display());
    Ok(())
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    report(path, std::fs::OpenOptions::new().write(true).create_new(true).open(path), bytes)
}

/// Writes a file that only its owner reads, unless it exists.
pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    report(path, opened, bytes)
}

fn report(path: &Path, opened: std::io::Result<std::fs::File>, bytes: &[u8]) -> std::io::Result<()> {
    match opened {
        Ok(mut file) => {
            file.write_all(bytes)?;
            file.sync_all()?;
            println!("wrote {}", path.display());
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            println!("kept  {} (it exists)", path.display());
            Ok(())
        }
        Err(error) => Err(error),
    }
}
