//! Rows 50, 51: the Timestamp in a signed message. Its limits are held beside the code.

use crate::kit::*;

fn stamped(created: &str, expires: &str) -> String {
    Forge::new(&ALICE)
        .with("2026-03-01T11:59:58.123Z", created)
        .with("2026-03-01T12:04:58.123Z", expires)
        .sign()
}

#[test]
fn row_50_stale_future_reversed_long() {
    check(stamped("2026-03-01T11:59:58Z", "2026-03-01T12:09:58Z"), ACCEPTED);
    check(stamped("2026-03-01T11:50:00Z", "2026-03-01T12:00:00Z"), "SOA-01001 wss.timestamp.stale");
    check(stamped("2026-03-01T12:02:00Z", "2026-03-01T12:05:00Z"), "SOA-01001 wss.timestamp.future");
    check(stamped("2026-03-01T12:00:00Z", "2026-03-01T11:59:00Z"), "SOA-01001 wss.timestamp.reversed");
    check(stamped("2026-03-01T12:00:00Z", "2036-03-01T12:00:00Z"), "SOA-01001 wss.timestamp.lifetime");
    let created = "<wsu:Created>2026-03-01T11:59:58.123Z</wsu:Created>";
    check(Forge::new(&ALICE).with(created, "").sign(), "SOA-01001 wss.timestamp.form");
    let expires = "<wsu:Expires>2026-03-01T12:04:58.123Z</wsu:Expires>";
    check(Forge::new(&ALICE).with(expires, "").sign(), ACCEPTED);
    check(Forge::new(&ALICE).with(created, &created.repeat(2)).sign(), "SOA-01001 wss.timestamp.form");
}

#[test]
fn row_51_lexical_forms() {
    for created in ["2026-03-01T11:59:58", "2026-03-01T13:59:58+02:00", "", "10000-03-01T11:59:58Z"] {
        check(stamped(created, "2026-03-01T12:04:58Z"), "SOA-01001 wss.timestamp.lexical");
    }
    check(stamped(&"1".repeat(100_000), "2026-03-01T12:04:58Z"), "SOA-01001 wss.timestamp.lexical");
    check(stamped("2026-03-01T11:59:58.123456789Z", "2026-03-01T12:04:58Z"), ACCEPTED);
}
