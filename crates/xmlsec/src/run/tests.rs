//! What the processor's own rounds make of a run, its portable twin makes too, and both make what the definition says.

use super::*;
use crate::base64;

/// Some base64.
fn text(steps: usize) -> Vec<u8> {
    let bytes: Vec<u8> = (0..steps * STEP_BYTES / 4 * 3).map(|i| (i * 31 + (i >> 7) * 5) as u8).collect();
    base64::encode(&bytes).into_bytes()
}

fn sha256_of(parts: &[&[u8]]) -> Sha256 {
    let mut sha256 = Sha256::default();
    parts.iter().for_each(|part| sha256.update(part));
    sha256
}

/// How far both went.
fn check<const HASHES: usize, const BASE64: bool>(text: &[u8], begins: [usize; HASHES]) -> usize {
    let start = |begin: usize| sha256_of(&[&vec![b'x'; 64 - begin], &text[..begin]]);
    let mut ends = [true, false].map(|by_processor| {
        let mut decoder = Decoder::with_room(0);
        if BASE64 {
            decoder.decode(text.first_chunk().unwrap()).unwrap();
        }
        let mut steps = Steps { text, begins, passed: 0 };
        let mut hashes = begins.map(start);
        if by_processor {
            steps.hash::<BASE64>(&mut hashes.each_mut(), &mut decoder);
        } else {
            steps.hash_plain::<BASE64>(&mut hashes.each_mut(), &mut decoder);
        }
        (steps.passed, hashes, decoder)
    });
    for (passed, hashes, decoder) in &mut ends {
        for (hash, begin) in hashes.iter().zip(begins) {
            let expected = sha256_of(&[&vec![b'x'; 64 - begin], &text[..begin + *passed]]);
            assert_eq!(hash.clone().finish(), expected.finish(), "{begin}");
        }
        if BASE64 {
            let decoded = &text[..*passed + STEP_BYTES];
            assert_eq!(decoder.taken_bytes(), decoded.len());
            let expected = base64::decode_text(str::from_utf8(decoded).unwrap()).unwrap();
            let decoder = std::mem::replace(decoder, Decoder::with_room(0));
            assert_eq!(decoder.finish(&[]), Ok(base64::Content::of(expected)));
        }
    }
    assert_eq!(ends[0].0, ends[1].0);
    ends[0].0
}

#[test]
fn wherever_the_hashes_begin() {
    let text = text(5);
    for begin in [0, 1, 31, 63] {
        assert_eq!(check::<1, false>(&text, [begin]), 4 * STEP_BYTES);
        assert_eq!(check::<1, true>(&text, [begin]), 4 * STEP_BYTES);
        assert_eq!(check::<2, false>(&text, [begin, 17]), 4 * STEP_BYTES);
        assert_eq!(check::<2, true>(&text, [60, begin]), 4 * STEP_BYTES);
    }
    for (length, steps) in [(1, 0), (2, 1), (3, 2)].map(|(steps, whole)| (steps * STEP_BYTES, whole)) {
        assert_eq!(check::<1, true>(&text[..length], [5]), steps * STEP_BYTES);
        assert_eq!(check::<2, false>(&text[..length + STEP_BYTES - 1], [5, 6]), steps * STEP_BYTES);
    }
}

#[test]
fn every_byte_stops_what_it_should() {
    let plain = text(3);
    for byte in 0..=255u8 {
        for place in [0, 1023, usize::from(byte) * 4 + 1, usize::from(byte) * 3 + 16] {
            let mut text = plain.clone();
            text[STEP_BYTES + place] = byte;
            let is_base64 = byte.is_ascii_alphanumeric() || b"+/".contains(&byte);
            let expected = |goes_on| if goes_on { 2 * STEP_BYTES } else { 0 };
            assert_eq!(check::<1, true>(&text, [place % 64]), expected(is_base64), "{byte} at {place}");
            let is_quiet = scan::is_quiet(&[byte]);
            assert_eq!(check::<1, false>(&text, [place % 64]), expected(is_quiet), "{byte} at {place}");
        }
    }
}

#[test]
fn a_run_ends_where_it_is_no_text_and_its_content_where_it_is_no_base64() {
    let plain = text(6);
    let taken = |text: &[u8], source: bool| {
        let mut run = Run {
            sha256: sha256_of(&[b"before"]),
            source: source.then(|| sha256_of(&[b"another beginning"])),
            content: Some(Decoder::with_room(text.len())),
            taken_bytes: 0,
        };
        let taken = run.take(text);
        assert_eq!(taken, run.taken_bytes);
        assert_eq!(run.sha256.finish(), sha256_of(&[b"before", &text[..taken]]).finish());
        if let Some(source) = run.source {
            assert_eq!(source.finish(), sha256_of(&[b"another beginning", &text[..taken]]).finish());
        }
        (taken, run.content.map(|decoder| decoder.taken_bytes()))
    };
    // Until a block begins behind "before", and behind the other beginning.
    let (first, other) = (64 - 6, 64 - 17);
    assert!(other < first);
    for source in [false, true] {
        assert_eq!(taken(&plain, source), (5 * STEP_BYTES + first, Some(6 * STEP_BYTES)));
        for (byte, place, expected) in [
            (b'<', 4 * STEP_BYTES + 1000, (3 * STEP_BYTES + first, Some(4 * STEP_BYTES))),
            (b'\n', 2 * STEP_BYTES, (5 * STEP_BYTES + first, Some(2 * STEP_BYTES))),
            (b' ', 700, (5 * STEP_BYTES + first, None)),
            (b'&', 1023, (0, Some(0))),
        ] {
            let mut text = plain.clone();
            text[place] = byte;
            assert_eq!(taken(&text, source), expected, "{byte} at {place}");
        }
        assert_eq!(taken(&plain[..STEP_BYTES - 1], source), (0, Some(0)));
    }
}
