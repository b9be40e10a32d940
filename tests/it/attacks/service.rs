//! Rows 85, 86, 90: the log, the journal, and what unwinds.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use disk::{Disk, OpenMode};
use epost::trust::{Stamp, StampError, Stamper};
use erds::Record;
use pki::digest::Digest;

use crate::house::door::Door;
use crate::house::inside::{JOURNAL, Plan, stamper};
use crate::house::{Draft, House};

#[tokio::test(flavor = "multi_thread")]
async fn row_85_what_comes_from_outside_stays_on_its_line() {
    let house = House::new().await;
    const X509V3: &str = "oasis-200401-wss-x509-token-profile-1.0#X509v3\" wsu:Id";
    for hostile in [
        "x&#10;{&quot;event&quot;:&quot;request.accepted&quot;}",
        "x&#xD;&#10;HTTP/1.1 200 OK",
        "\u{202e}detpecca",
        "\u{2028}x",
        "&#x1b;",
        "\u{85}x",
        &"x".repeat(100_000),
    ] {
        let mut signed = Draft::submission("T").sign();
        signed.replace(X509V3, &X509V3.replace("X509v3", hostile));
        let answer = house.send(&signed).await;
        let verdict = house.verdict(&answer);
        let records = house.records();
        let Some(Record::Refused(refused)) = records.last().map(|stored| &stored.record) else {
            // U+001B is no XML: the document itself is refused.
            panic!("{verdict}")
        };
        for text in [&refused.seen, &refused.expected, &refused.remedy] {
            let hides = |c: char| {
                c.is_control()
                    || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            };
            assert!(!text.contains(hides), "{text:?}");
            assert!(text.len() < 5000, "{}", text.len());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_86_a_journal_that_was_changed_is_not_opened() {
    let house = House::new().await;
    for token in ["A", "B", "C"] {
        house.ask(&Draft::submission(token)).await.receipt();
    }
    let records = house.records().len();
    let disk = house.disk.clone();
    house.stop().await;
    let segments = disk.list(Path::new(JOURNAL)).unwrap();
    let segment = segments
        .iter()
        .find(|path| path.to_string_lossy().contains("segment") || path.extension().is_some())
        .unwrap()
        .clone();
    let length = disk.open(&segment, OpenMode::Read).unwrap().length().unwrap();
    // A byte anywhere but in the last write: refused. There it looks like a torn write, and what is gone was answered: told apart by
    // the heads that are kept outside (`epost journal verify`).
    let mut refusals = 0;
    for at in (0..length / 2).step_by(usize::try_from(length / 40).unwrap()) {
        let copy = disk.after_power_cut(1);
        let mut file = copy.open(&segment, OpenMode::Write).unwrap();
        let mut byte = [0];
        file.read_at(at, &mut byte).unwrap();
        file.write_at(at, &[byte[0] ^ 1]).unwrap();
        file.sync_data().unwrap();
        let opened = House::open(Plan { disk: copy, ..Plan::default() }).await;
        assert!(opened.is_err(), "a flipped bit at {at} of {length}");
        refusals += 1;
    }
    println!("verdict: {refusals} times a flipped bit: the start refuses");
    let house = House::open(Plan { disk, ..Plan::default() }).await.unwrap();
    assert!(house.records().len() >= records, "as it was, it opens");
}

/// Unwinds at the first stamp, as a bug would.
struct Unwinding {
    once: AtomicBool,
    inner: Arc<dyn Stamper>,
}

#[async_trait]
impl Stamper for Unwinding {
    async fn stamp(&self, imprint: &Digest) -> Result<Stamp, StampError> {
        assert!(self.once.swap(true, Ordering::SeqCst), "a bug, by design of this test");
        self.inner.stamp(imprint).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_90_what_unwinds_takes_nobody_along() {
    let unwinding = Arc::new(Unwinding { once: AtomicBool::new(false), inner: stamper() });
    let door =
        Door::with(Plan { stamper: unwinding, ..Plan::default() }, |listen| listen.requests_max = 1).await;
    let first = Draft::submission("T").sign();
    let answer = door.send(&first, &[]).await;
    println!("verdict: HTTP {}", answer.status);
    assert_eq!(answer.status, 500, "{answer}");
    // No lock is poisoned, no slot is lost, and his own resend is told that it is we who failed.
    let answer = door.send(&Draft::submission("U").sign(), &[]).await;
    assert_eq!(door.house.verdict(&answer), "accepted");
    let again = door.send(&first, &[]).await;
    let fault = again.fault().unwrap();
    println!("verdict: {}", fault.code);
    assert_eq!(fault.code, "REPO_T01", "ours: {again}");
    // The next start withdraws it, and then it is taken.
    let disk = door.house.disk.clone();
    door.house.stop().await;
    let house = House::open(Plan { disk, ..Plan::default() }).await.unwrap();
    house.send(&first).await.receipt();
}
