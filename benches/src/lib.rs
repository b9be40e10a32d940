//! Figures, each beside its floor in the same run: `cargo bench -p benches`. Not tests: these machines are noisy.
//!
//! `parts`: parse, canonicalise, digest, verify, seal, multipart, append. `submission`: whole requests over mutual TLS.
//! README.md beside this crate says what each line means.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The CPU time that this thread has used: other processes on the machine do not count.
pub fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// The pages that this thread has touched for the first time since the system gave them, in bytes: what a call's memory costs beyond its
/// use. From `/proc`, where there is one.
pub fn faulted_bytes() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
    // The name, which may hold spaces, ends with the last bracket; `minflt` is the eighth field after it.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let faults: u64 = fields.split_whitespace().nth(7).and_then(|field| field.parse().ok()).unwrap_or(0);
    faults * rustix::param::page_size() as u64
}

/// CPU time of one call of ours and of its floor.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Ours.
    pub ours: Duration,
    /// The least that it could cost.
    pub floor: Duration,
}

impl Figure {
    /// How much of the floor's speed is reached: 1 is all of it.
    pub fn reached(self) -> f64 {
        self.floor.as_secs_f64() / self.ours.as_secs_f64()
    }
}

/// Measures `ours` and `floor` in turns, [`GROUPS`] groups of each, so that what disturbs one disturbs the other; the group
/// whose ratio is the median is the figure. All of it is this thread's CPU time.
pub fn beside(mut ours: impl FnMut(), floor: impl FnMut()) -> Figure {
    beside_with(|| (), |()| ours(), floor)
}

/// As [`beside`], for calls that use up what they are given; `prepare` is not in the figure. A few inputs are made at a time, so that they
/// are as near to the processor as what has just been received, and reading the clock between costs nothing.
pub fn beside_with<T>(prepare: impl FnMut() -> T, ours: impl FnMut(T), floor: impl FnMut()) -> Figure {
    beside_in(GROUPS, prepare, ours, floor)
}

/// As [`beside_with`], in so many groups: for calls of which [`GROUPS`] times two would take minutes.
pub fn beside_in<T>(
    groups: usize,
    mut prepare: impl FnMut() -> T,
    mut ours: impl FnMut(T),
    mut floor: impl FnMut(),
) -> Figure {
    let ours_calls = calls_a_group(&mut || ours(prepare()));
    let floor_calls = calls_a_group(&mut floor);
    let at_once = (ours_calls / (GROUP.as_micros() / AT_ONCE.as_micros()) as u32).max(1);
    let mut figures: Vec<Figure> = (0..groups)
        .map(|_| {
            let (mut used, mut calls) = (Duration::ZERO, 0);
            while calls < ours_calls {
                let inputs: Vec<T> = (0..at_once).map(|_| prepare()).collect();
                let begun = cpu();
                inputs.into_iter().for_each(&mut ours);
                used += cpu() - begun;
                calls += at_once;
            }
            let ours = used / calls;
            let begun = cpu();
            (0..floor_calls).for_each(|_| floor());
            Figure { ours, floor: (cpu() - begun) / floor_calls }
        })
        .collect();
    figures.sort_by(|one, other| one.reached().total_cmp(&other.reached()));
    figures[groups / 2]
}

/// How many calls fill a group: the second call is the one that counts, as the first meets cold caches.
fn calls_a_group(call: &mut dyn FnMut()) -> u32 {
    call();
    let begun = cpu();
    call();
    let once = (cpu() - begun).max(Duration::from_nanos(50));
    u32::try_from(GROUP.as_nanos() / once.as_nanos()).unwrap_or(u32::MAX).max(2)
}

/// Names a group of lines and the floor that stands beside each.
pub fn section(what: &str, floor: &str) {
    println!("\n{what}\n  floor: {floor}");
}

/// One line: CPU time of a call, calls in a CPU second, the floor's, and how much of its speed is reached.
pub fn line(what: &str, figure: Figure) {
    println!("{}", text(what, figure));
}

/// As [`line`], with megabytes in a CPU second.
pub fn line_of_bytes(what: &str, figure: Figure, bytes: usize) {
    println!("{}", text_of_bytes(what, figure, bytes));
}

/// What [`line_of_bytes`] prints.
pub fn text_of_bytes(what: &str, figure: Figure, bytes: usize) -> String {
    let speed = bytes as f64 / figure.ours.as_secs_f64() / 1e6;
    format!("{}   {speed:>6.0} MB/s", text(what, figure))
}

/// As [`line`], with what is spent beyond the floor.
pub fn line_beyond(what: &str, figure: Figure) {
    let beyond = micros(figure.ours) - micros(figure.floor);
    println!("{}   {beyond:>6.1} µs beyond it", text(what, figure));
}

fn text(what: &str, figure: Figure) -> String {
    format!(
        "  {what:<44} {:>10.1} µs {:>9.0}/s   floor {:>10.1} µs {:>9.0}/s   {:>5.1} %",
        micros(figure.ours),
        1.0 / figure.ours.as_secs_f64(),
        micros(figure.floor),
        1.0 / figure.floor.as_secs_f64(),
        100.0 * figure.reached(),
    )
}

/// Microseconds.
pub fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}

/// How many groups a figure is the median of.
pub const GROUPS: usize = 25;
const GROUP: Duration = Duration::from_millis(20);
const AT_ONCE: Duration = Duration::from_micros(200);
