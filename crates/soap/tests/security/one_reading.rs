//! Row 29: no two readings of one message.

use crate::kit::*;

/// Every place of a signed message, with a character that parsers have disagreed about put there or in its place: what is
/// read is what was signed, or nothing is read.
#[test]
fn row_29_no_reading_but_the_signed_one() {
    let message = Forge::new(&BOB).sign();
    let bob = "accepted 0206731645 urn:be:test:bob GetStatusRequest 0123456789ABC";
    let pieces = [
        "<",
        ">",
        "&",
        "\"",
        "'",
        ":",
        "#",
        "\u{0}",
        "\u{85}",
        "\r",
        "<!---->",
        "<![CDATA[]]>",
        " xmlns=\"\"",
        "&#x20;",
    ];
    let mut read = 0;
    for at in 0..message.len() {
        let piece = pieces[at % pieces.len()];
        for from in [at, at + 1] {
            let changed = format!("{}{piece}{}", &message[..at], &message[from..]);
            let told = outcome(&changed, &Setting::default());
            assert!(told == bob || told.starts_with("SOA-0"), "{at} {piece:?}: {told}");
            read += usize::from(told == bob);
        }
    }
    assert!(read > 20, "white space and comments in unsigned places change nothing: {read}");
}
