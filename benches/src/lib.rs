//! Figures, each beside its floor in the same run: `cargo bench -p benches`. Not tests: these machines are noisy.
//!
//! `parts.rs`: parse, canonicalise, digest, verify, multipart, seal, append. `submission.rs`: whole requests over mutual TLS.

use std::time::{Duration, Instant};

/// The median time of one call, over enough calls to fill about a second, in nine groups.
pub fn median(mut call: impl FnMut()) -> Duration {
    let begun = Instant::now();
    call();
    let once = begun.elapsed().max(Duration::from_nanos(100));
    let calls =
        u32::try_from(Duration::from_millis(110).as_nanos() / once.as_nanos()).unwrap_or(u32::MAX).max(1);
    let mut groups: Vec<Duration> = (0..9)
        .map(|_| {
            let begun = Instant::now();
            for _ in 0..calls {
                call();
            }
            begun.elapsed() / calls
        })
        .collect();
    groups.sort();
    groups[4]
}

/// One line of the table: what, its time, its floor's time, and how much of the floor's speed it reaches.
pub fn line(what: &str, ours: Duration, floor_name: &str, floor: Duration) {
    let micros = |time: Duration| time.as_nanos() as f64 / 1000.0;
    let reached = 100.0 * floor.as_secs_f64() / ours.as_secs_f64();
    println!(
        "{what:<46} {:>12.1} µs   floor {:>12.1} µs ({floor_name})   {reached:>5.1} %",
        micros(ours),
        micros(floor)
    );
}
