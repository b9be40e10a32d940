//! `epost`: the service and the sender's command line.

fn main() -> std::process::ExitCode {
    epost::command::run()
}
