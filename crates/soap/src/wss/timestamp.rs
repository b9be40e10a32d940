//! The wsu:Timestamp: its shape, its lexical form, its age.
//!
//! Sources: SOAP Message Security 1.0 §10; `security.md` rows 50 and 51; `clients.md` 6.

use super::namespace::WSU;
use super::refuse::security;
use erds::refusal::Refusal;
use jiff::{SignedDuration, Timestamp};
use xmlsec::Element;

/// `2026-01-31T23:59:59.123456789Z`.
const INSTANT_BYTES_MAX: usize = 30;

/// What a Timestamp says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Validity {
    pub(super) created: Timestamp,
    pub(super) expires: Option<Timestamp>,
}

/// How old a message may be, and for how long it may claim to live.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) now: Timestamp,
    pub(super) age_seconds_max: u64,
    pub(super) lifetime_seconds_max: u64,
    pub(super) skew_seconds: u64,
}

/// Reads a Timestamp: Created, then Expires if there is one (either order), nothing else.
pub(super) fn read(element: Element<'_>) -> Result<Validity, Refusal> {
    let shape = |seen: &str| {
        security(
            "wss.timestamp.form",
            seen,
            "wsu:Timestamp holding wsu:Created and wsu:Expires, each at most once",
            "Send one Timestamp with Created and Expires.",
        )
    };
    if element.has_text_content() {
        return Err(shape("text in the Timestamp"));
    }
    let (mut created, mut expires) = (None, None);
    for child in element.children() {
        let slot = match child.local_name() {
            "Created" if child.namespace() == WSU => &mut created,
            "Expires" if child.namespace() == WSU => &mut expires,
            other => return Err(shape(other)),
        };
        let text = child.text().map_err(|_| shape("an element in an instant"))?;
        if slot.replace(instant(&text)?).is_some() {
            return Err(shape("Created or Expires twice"));
        }
    }
    Ok(Validity { created: created.ok_or_else(|| shape("no Created"))?, expires })
}

/// Judges it at `window.now`.
pub(super) fn judge(validity: Validity, window: Window) -> Result<(), Refusal> {
    let seconds = |count: u64| SignedDuration::from_secs(i64::try_from(count).unwrap_or(i64::MAX));
    let (created, now) = (validity.created, window.now);
    let skew = seconds(window.skew_seconds);
    let refuse = |check, seen: String, expected: String| {
        let remedy =
            "Set the sender's clock (NTP), and sign right before sending; sign anew for every attempt.";
        Err(security(check, &seen, &expected, remedy))
    };
    let age = now.duration_since(created);
    if age < -skew {
        let expected = format!("Created at most {} s after {now}", window.skew_seconds);
        return refuse("wss.timestamp.future", format!("Created {created}"), expected);
    }
    if age > seconds(window.age_seconds_max).saturating_add(skew) {
        let expected = format!("Created at most {} s before {now}", window.age_seconds_max);
        return refuse("wss.timestamp.stale", format!("Created {created}"), expected);
    }
    let Some(expires) = validity.expires else { return Ok(()) };
    let lifetime = expires.duration_since(created);
    if lifetime <= SignedDuration::ZERO {
        let seen = format!("Created {created}, Expires {expires}");
        return refuse("wss.timestamp.reversed", seen, "Expires after Created".to_owned());
    }
    if lifetime > seconds(window.lifetime_seconds_max) {
        let expected = format!("at most {} s from Created to Expires", window.lifetime_seconds_max);
        return refuse("wss.timestamp.lifetime", format!("{} s", lifetime.as_secs()), expected);
    }
    if now.duration_since(expires) > skew {
        return refuse("wss.timestamp.expired", format!("Expires {expires}"), format!("after {now}"));
    }
    Ok(())
}

/// `yyyy-MM-ddTHH:mm:ss`, 0 to 9 fraction digits after a point, `Z`; nothing around it.
pub(super) fn instant(text: &str) -> Result<Timestamp, Refusal> {
    let refused = || {
        security(
            "wss.timestamp.lexical",
            &text.chars().take(40).collect::<String>(),
            "yyyy-MM-ddTHH:mm:ss, at most nine fraction digits, Z",
            "Write instants as xs:dateTime in UTC with the letter Z.",
        )
    };
    let bytes = text.as_bytes();
    if bytes.len() > INSTANT_BYTES_MAX {
        return Err(refused());
    }
    let (whole, rest) = bytes.split_at_checked(19).ok_or_else(refused)?;
    let pattern = b"dddd-dd-ddTdd:dd:dd";
    let fits = whole.iter().zip(pattern).all(|(&byte, &wanted)| match wanted {
        b'd' => byte.is_ascii_digit(),
        literal => byte == literal,
    });
    let fraction = rest.strip_suffix(b"Z").ok_or_else(refused)?;
    let digits = match fraction.split_first() {
        None => true,
        Some((b'.', digits)) => (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit),
        Some(_) => false,
    };
    // jiff reads second 60 as 59: a leap second is nobody's time of signing.
    if !fits || !digits || whole.ends_with(b"60") {
        return Err(refused());
    }
    text.parse().map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-03-01T12:00:00Z";

    #[test]
    fn row_51_lexical_forms() {
        for good in ["2026-03-01T12:00:00Z", "2026-03-01T12:00:00.1Z", "2026-03-01T12:00:00.123456789Z"] {
            assert!(instant(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "Z",
            "2026-03-01T12:00:00",
            "2026-03-01T12:00:00+14:00",
            "2026-03-01T12:00:00+00:00",
            "2026-03-01T12:00:60Z",
            "2026-03-01T24:00:00Z",
            "2026-02-30T12:00:00Z",
            "2026-03-01t12:00:00Z",
            "2026-03-01T12:00:00z",
            "2026-03-01 12:00:00Z",
            "2026-03-01T12:00:00.Z",
            "2026-03-01T12:00:00.1234567890Z",
            "10000-01-01T00:00:00Z",
            "-2026-03-01T12:00:00Z",
            " 2026-03-01T12:00:00Z",
            "2026-03-01T12:00:00Z ",
            "2026-03-01T12:00Z",
            "２０２６-03-01T12:00:00Z",
        ] {
            let told = instant(bad).map_err(|r| r.check);
            println!("verdict: {}", told.err().unwrap_or("ok"));
            assert_eq!(told, Err("wss.timestamp.lexical"), "{bad}");
        }
        assert!(instant(&"9".repeat(100_000)).is_err());
    }

    #[test]
    fn row_50_age_and_lifetime_at_the_limit_and_one_past() {
        check("2026-03-01T11:54:00Z", None, "ok");
        check("2026-03-01T11:53:59Z", None, "wss.timestamp.stale");
        check("2026-03-01T12:01:00Z", None, "ok");
        check("2026-03-01T12:01:01Z", None, "wss.timestamp.future");
        check("2026-03-01T12:00:00Z", Some("2026-03-01T12:10:00Z"), "ok");
        check("2026-03-01T12:00:00Z", Some("2026-03-01T12:10:01Z"), "wss.timestamp.lifetime");
        check("2026-03-01T12:00:00Z", Some("2036-03-01T12:00:00Z"), "wss.timestamp.lifetime");
        check("2026-03-01T12:00:00Z", Some("2026-03-01T12:00:00Z"), "wss.timestamp.reversed");
        check("2026-03-01T12:00:00Z", Some("2026-03-01T11:59:00Z"), "wss.timestamp.reversed");
        check("2026-03-01T11:55:00Z", Some("2026-03-01T11:59:00Z"), "ok");
        check("2026-03-01T11:55:00Z", Some("2026-03-01T11:58:59Z"), "wss.timestamp.expired");
    }

    #[track_caller]
    fn check(created: &str, expires: Option<&str>, expected: &str) {
        let at = |text: &str| text.parse().expect("an instant");
        let window =
            Window { now: at(NOW), age_seconds_max: 300, lifetime_seconds_max: 600, skew_seconds: 60 };
        let validity = Validity { created: at(created), expires: expires.map(at) };
        let told = judge(validity, window).map_or_else(|r| r.check, |()| "ok");
        println!("verdict: {told}");
        assert_eq!(told, expected);
    }
}
