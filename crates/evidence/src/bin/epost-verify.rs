//! `epost-verify`: judges a proof offline. See `evidence::verify::command`.

fn main() -> std::process::ExitCode {
    evidence::verify::command::main().into()
}
