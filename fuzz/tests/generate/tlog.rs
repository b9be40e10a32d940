//! The published log: the honest checkpoint, proofs and files of `fixed/journal`, and changes of them.

use crate::seeds::Keeper;

/// After the journal is written.
pub(crate) fn published() {
    let mut keeper = Keeper::new("tlog", epost_fuzz::tlog);
    let (note, proofs) = epost_fuzz::tlog_seeds();
    let (first, last) = (&proofs[0], &proofs[proofs.len() - 1]);
    keeper.seed("checkpoint", format!("c\n{note}").as_bytes());
    keeper.seed("proof", format!("p\n{last}").as_bytes());
    keeper.seed("alone", format!("p1\n{}", without_hashes(first)).as_bytes());
    keeper.seed("files", b"f\n");
    let size = format!("\n{}\n", proofs.len());
    for (from, to) in [
        (size.as_str(), "\n1\n"),
        (&size, "\nx\n"),
        ("fuzz\n", "other\n"),
        ("\u{2014} fuzz", "\u{2014} other"),
    ] {
        keeper.change(format!("c\n{}", note.replacen(from, to, 1)).as_bytes());
        keeper.change(format!("cn\n{}", note.replacen(from, to, 1)).as_bytes());
    }
    let index = format!("index {}", proofs.len() - 1);
    keeper.change(format!("p\n{}", last.replacen("tlog-proof", "proof", 1)).as_bytes());
    keeper.change(format!("p\n{}", last.replacen(&index, "index 0", 1)).as_bytes());
    keeper.change(format!("pn\n{}", last.replacen(&size, "\n77\n", 1)).as_bytes());
    // The first record's bytes, its position untouched, its facts unreadable.
    let extra = first.lines().find_map(|line| line.strip_prefix("extra ")).expect("the record");
    let mut salted = base64_simd::STANDARD.decode_to_vec(extra).expect("base64");
    let end = salted.len();
    salted[end - 60..].fill(b'x');
    let unreadable = first.replacen(extra, &base64_simd::STANDARD.encode_to_string(&salted), 1);
    keeper.change(format!("p1\n{}", without_hashes(&unreadable)).as_bytes());
    for kind in 0..8 {
        for file in 0..4 {
            for at in [0, 9, 40, 90] {
                keeper.change(&[b'f', b'\n', file << 4 | kind, 0, at, 1]);
            }
        }
    }
    keeper.change(b"fm\n");
}

/// A proof without the hashes beside the way.
fn without_hashes(proof: &str) -> String {
    let (head, note) = proof.split_once("\n\n").expect("a proof");
    let head: Vec<&str> = head.lines().take(3).collect();
    format!("{}\n\n{note}", head.join("\n"))
}
