//! The parts of a submission, each beside the least that it could cost. README.md says what each line means.

mod append;
mod counted;
#[path = "../floor.rs"]
mod floor;
mod multipart;
mod peers;
mod proof;
mod seal;
mod stamp;
mod verify;
mod xml;

fn main() {
    // cargo itself passes `--bench`.
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|one| one == part);
    let peers = std::cell::LazyCell::new(peers::Peers::build);
    let parts: [(&str, &dyn Fn()); 7] = [
        ("xml", &|| xml::run(&peers)),
        ("verify", &|| verify::run(&peers)),
        ("multipart", &multipart::run),
        ("proof", &proof::run),
        ("seal", &seal::run),
        ("stamp", &stamp::run),
        ("append", &append::run),
    ];
    parts.iter().filter(|(part, _)| is_wanted(part)).for_each(|(_, run)| run());
}
