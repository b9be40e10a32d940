//! The parts of a submission, each beside the least that it could cost. README.md says what each line means.

mod append;
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
    let peers = peers::Peers::build();
    xml::run(&peers);
    verify::run(&peers);
    multipart::run();
    proof::run();
    seal::run();
    stamp::run();
    append::run();
}
