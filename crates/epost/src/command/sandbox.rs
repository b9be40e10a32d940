//! `epost sandbox`: what an integrator starts to test his client against.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use super::serve::wait_for_signal;
use super::{could_not_run, start_log};
use crate::dev::pki::Extent;
use crate::dev::sandbox::ENTERPRISE;
use crate::dev::start;

/// Where, and on which address.
#[derive(clap::Args)]
pub struct Args {
    /// The sandbox's folder: made if absent, used again if not.
    dir: PathBuf,
    /// Address and port of the service; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
}

/// Runs until SIGINT or SIGTERM.
pub async fn run(args: Args) -> ExitCode {
    start_log("warn");
    let sandbox = match start::start(&args.dir, args.listen, Extent::WithStrangers).await {
        Ok(sandbox) => sandbox,
        Err(error) => return could_not_run(&error),
    };
    let layout = &sandbox.layout;
    println!("ePost sandbox, not for production");
    println!("  contract A   {}", layout.endpoint());
    println!("  all else     {}", layout.directory.join("sandbox.json").display());
    if let Some(address) = sandbox.service.operator_address {
        println!("  watch it     http://{address}/metrics and /health");
    }
    println!("  journal      {}", sandbox.service.report.journal);
    if let Some(address) = sandbox.service.batch_address {
        println!("  folders      {}", crate::dev::sandbox::folder_url(address));
    }
    println!("\nsend something:");
    println!(
        "  epost send FILE --profile {} --to-citizen {} --title \"A letter\" --type LETTER --wait",
        layout.profile("alice").display(),
        crate::dev::sandbox::CITIZEN,
    );
    if let Some(address) = sandbox.service.batch_address {
        let (pki, url) = (layout.pki.directory().display(), crate::dev::sandbox::folder_url(address));
        println!(
            "the enterprise {} has a folder (add --channel EBOX_ENTERPRISE --channel BATCH):",
            ENTERPRISE
        );
        println!(
            "  curl --cert {pki}/enterprise.crt --key {pki}/enterprise.key --cacert {pki}/server-root.crt {url}"
        );
    }
    println!("\nready; Ctrl-C ends it");
    wait_for_signal().await;
    sandbox.stop().await;
    ExitCode::SUCCESS
}
