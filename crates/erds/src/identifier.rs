//! Identifiers: persons, enterprises, items. Structure only: no birth date or sex is ever derived.
//!
//! The text as given is kept beside the normalised value, since a receipt repeats the recipient exactly as given.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// How closely identifiers are judged. Production is strict; official test examples hold numbers that fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Strictness {
    /// Check digits, dates and ranges.
    Strict,
    /// The form alone (number of digits).
    Lax,
}

/// Why a text is no identifier: its giver's fault. Never holds the text itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IdentifierError {
    /// Not the right number of characters of the right alphabet.
    #[error("wrong form: {expected}")]
    Form {
        /// The form expected, for the sender.
        expected: &'static str,
    },
    /// The check digits do not fit.
    #[error("check digits do not fit")]
    CheckDigits,
    /// The number is out of the issued range: an establishment unit, a reserved counter, a month that is none.
    #[error("outside the issued range: {expected}")]
    Range {
        /// The range expected.
        expected: &'static str,
    },
    /// The date in it does not exist, or is in the future.
    #[error("holds a date that does not exist or lies ahead")]
    Date,
}

impl IdentifierError {
    /// The stable dotted code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Form { .. } => "identifier.form",
            Self::CheckDigits => "identifier.check-digits",
            Self::Range { .. } => "identifier.range",
            Self::Date => "identifier.date",
        }
    }
}

/// A person's identification number (INSS, INSZ, SSIN): 11 digits.
#[derive(Clone, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ssin(String);

impl Ssin {
    /// Parses 11 digits; `today` bounds the date of birth that a strict reading looks at.
    ///
    /// # Errors
    /// [`IdentifierError`]: the giver's fault. Source: identifiers.md.
    pub fn parse(text: &str, strictness: Strictness, today: Date) -> Result<Self, IdentifierError> {
        if text.len() != 11 || !all_digits(text) {
            return Err(IdentifierError::Form { expected: "11 digits" });
        }
        if strictness == Strictness::Strict {
            check_ssin(text, today)?;
        }
        Ok(Self(text.to_owned()))
    }

    /// The text as given.
    pub fn as_given(&self) -> &str {
        &self.0
    }

    /// The 11 digits.
    pub fn digits(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Ssin {
    /// Personal: never printed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ssin(…)")
    }
}

impl TryFrom<String> for Ssin {
    type Error = IdentifierError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text, Strictness::Lax, Date::MAX)
    }
}

impl From<Ssin> for String {
    fn from(ssin: Ssin) -> Self {
        ssin.0
    }
}

fn check_ssin(text: &str, today: Date) -> Result<(), IdentifierError> {
    let number = |range: std::ops::Range<usize>| {
        text.get(range).and_then(|t| t.parse::<u64>().ok()).unwrap_or(u64::MAX)
    };
    let (base, check) = (number(0..9), number(9..11));
    let born_1900 = 97 - base % 97 == check;
    let born_2000 = 97 - (2_000_000_000 + base) % 97 == check;
    let month_field = number(2..4);
    let (month, day, counter) = (month_field % 20, number(4..6), number(6..9));
    if month > 12 || month_field > 52 {
        return Err(IdentifierError::Range { expected: "month 00-12, 20-32 or 40-52" });
    }
    if month_field <= 12 && (counter == 0 || counter == 999) {
        return Err(IdentifierError::Range { expected: "counter 001-998" });
    }
    if !born_1900 && !born_2000 {
        return Err(IdentifierError::CheckDigits);
    }
    // Both rules can fit at once only if 2e9 were a multiple of 97, which it is not.
    let year = number(0..2) + if born_1900 { 1900 } else { 2000 };
    check_date(year, month, day, today)
}

/// A month or day of 00 is unknown: what is known must still be possible.
fn check_date(year: u64, month: u64, day: u64, today: Date) -> Result<(), IdentifierError> {
    if day > 31 {
        return Err(IdentifierError::Date);
    }
    let part = |value: u64| i8::try_from(value.max(1)).map_err(|_| IdentifierError::Date);
    let year = i16::try_from(year).map_err(|_| IdentifierError::Date)?;
    // An unknown month is read as January for the future's sake, and may have 31 days.
    let date = Date::new(year, part(month)?, part(day)?).map_err(|_| IdentifierError::Date)?;
    if date > today { Err(IdentifierError::Date) } else { Ok(()) }
}

/// An enterprise's number (CBE, KBO, BCE): 10 digits, the first 0 or 1. Two are equal when the digits are, padded.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EnterpriseNumber {
    given: String,
    digits: String,
}

impl EnterpriseNumber {
    /// Parses 10 digits, or 9 and puts a 0 before.
    ///
    /// # Errors
    /// [`IdentifierError`]: the giver's fault. Source: identifiers.md.
    pub fn parse(text: &str, strictness: Strictness) -> Result<Self, IdentifierError> {
        if !matches!(text.len(), 9 | 10) || !all_digits(text) {
            return Err(IdentifierError::Form { expected: "10 digits (or 9, without the leading 0)" });
        }
        let digits = format!("{text:0>10}");
        if strictness == Strictness::Strict {
            if !digits.starts_with(['0', '1']) {
                return Err(IdentifierError::Range {
                    expected: "an enterprise (0… or 1…), not an establishment unit",
                });
            }
            let number: u64 = digits.parse().unwrap_or(u64::MAX);
            if number == 0 || 97 - number / 100 % 97 != number % 100 {
                return Err(IdentifierError::CheckDigits);
            }
        }
        Ok(Self { given: text.to_owned(), digits })
    }

    /// The text as given.
    pub fn as_given(&self) -> &str {
        &self.given
    }

    /// The 10 digits.
    pub fn digits(&self) -> &str {
        &self.digits
    }
}

impl PartialEq for EnterpriseNumber {
    fn eq(&self, other: &Self) -> bool {
        self.digits == other.digits
    }
}

impl Eq for EnterpriseNumber {}

impl std::hash::Hash for EnterpriseNumber {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.digits.hash(state);
    }
}

impl std::fmt::Display for EnterpriseNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.digits)
    }
}

impl TryFrom<String> for EnterpriseNumber {
    type Error = IdentifierError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text, Strictness::Lax)
    }
}

impl From<EnterpriseNumber> for String {
    fn from(number: EnterpriseNumber) -> Self {
        number.given
    }
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The name of an item: 13 characters without I and O, 66 bits from a CSPRNG.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ticket([u8; 13]);

const TICKET_ALPHABET: &[u8; 34] = b"0123456789ABCDEFGHJKLMNPQRSTUVWXYZ";

impl Ticket {
    /// Parses 13 characters of `[0-9A-HJ-NP-Z]`.
    ///
    /// # Errors
    /// [`IdentifierError::Form`]: the giver's fault.
    pub fn parse(text: &str) -> Result<Self, IdentifierError> {
        match <[u8; 13]>::try_from(text.as_bytes()) {
            Ok(bytes) if bytes.iter().all(|byte| TICKET_ALPHABET.contains(byte)) => Ok(Self(bytes)),
            _ => Err(IdentifierError::Form { expected: "13 characters of [0-9A-HJ-NP-Z]" }),
        }
    }

    /// Draws a ticket; `fill` fills a buffer from a CSPRNG. Unbiased: bytes of 238 and above are thrown away.
    pub fn from_random(fill: &mut impl FnMut(&mut [u8])) -> Self {
        let mut ticket = [b'0'; 13];
        let mut filled = 0;
        // A working source needs two rounds at most; the bound is for one that is stuck.
        for _ in 0..64 {
            let mut draw = [0_u8; 32];
            fill(&mut draw);
            for byte in draw.into_iter().filter(|&byte| byte < 238) {
                if let (Some(slot), Some(&c)) =
                    (ticket.get_mut(filled), TICKET_ALPHABET.get(usize::from(byte % 34)))
                {
                    *slot = c;
                    filled += 1;
                }
            }
            if filled == ticket.len() {
                break;
            }
        }
        Self(ticket)
    }

    /// The 13 characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl std::fmt::Display for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for Ticket {
    type Error = IdentifierError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Ticket> for String {
    fn from(ticket: Ticket) -> Self {
        ticket.as_str().to_owned()
    }
}

impl std::str::FromStr for Ticket {
    type Err = IdentifierError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// A text between two lengths in characters, kept as given.
macro_rules! bounded_text {
    ($(#[$doc:meta])* $name:ident, $min:literal, $max:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The most characters it may have.
            pub const CHARACTERS_MAX: usize = $max;

            /// Takes the text if its length in characters is allowed.
            ///
            /// # Errors
            /// [`IdentifierError::Form`]: the giver's fault.
            pub fn parse(text: &str) -> Result<Self, IdentifierError> {
                if !($min..=$max).contains(&text.chars().count()) {
                    return Err(IdentifierError::Form { expected: $expected });
                }
                Ok(Self(text.to_owned()))
            }

            /// The text as given.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text as given.
            pub fn as_given(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdentifierError;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}

bounded_text!(
    /// The sender's own name for a sending. The empty one names nothing and is no key.
    Token, 0, 50, "at most 50 characters"
);
bounded_text!(
    /// In which quality a recipient is addressed: `CITIZEN`, or a quality of the sector's user management.
    QualityCode, 1, 125, "1 to 125 characters"
);
bounded_text!(
    /// The sending application: the CN of its certificate, as it stands there.
    ApplicationId, 1, 150, "1 to 150 characters"
);

impl Token {
    /// Whether it is empty, and so no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl QualityCode {
    /// The one quality of a natural person.
    pub const CITIZEN: &'static str = "CITIZEN";

    /// Whether it is that of a natural person.
    pub fn is_citizen(&self) -> bool {
        self.0 == Self::CITIZEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Date = jiff::civil::date(2026, 6, 1);

    #[test]
    fn ssin_table() {
        for good in [
            "00000000196",
            "00000000128",
            "00010100173",
            "00010100105",
            "00210100148",
            "00410100290",
            "00410100063",
            "00022900145",
            "53480200724",
        ] {
            assert_eq!(
                Ssin::parse(good, Strictness::Strict, TODAY).map(|s| s.as_given().to_owned()),
                Ok(good.to_owned())
            );
        }
        for bad in [
            "00010100074",
            "00010199945",
            "00130100160",
            "00530100149",
            "00022900116",
            "01022900166",
            "12345678901",
            "99010100147",
        ] {
            assert!(Ssin::parse(bad, Strictness::Strict, TODAY).is_err(), "{bad}");
            assert!(Ssin::parse(bad, Strictness::Lax, TODAY).is_ok(), "{bad}");
        }
        for form in ["", "0001010017", "000101001733", "0001010017a", "٠٠٠١٠١٠٠١٧٣"] {
            assert_eq!(
                Ssin::parse(form, Strictness::Lax, TODAY),
                Err(IdentifierError::Form { expected: "11 digits" })
            );
        }
    }

    #[test]
    fn enterprise_table() {
        for good in ["0000000196", "0000000097", "0123456749", "1000000021", "1234567894", "000000196"] {
            let number =
                EnterpriseNumber::parse(good, Strictness::Strict).unwrap_or_else(|e| panic!("{good}: {e}"));
            assert_eq!(number.as_given(), good);
            assert_eq!(number.digits().len(), 10);
        }
        for bad in ["0123456789", "0000000000", "0000000100", "2000000042"] {
            assert!(EnterpriseNumber::parse(bad, Strictness::Strict).is_err(), "{bad}");
        }
        assert!(EnterpriseNumber::parse("2000000042", Strictness::Lax).is_ok());
        assert!(EnterpriseNumber::parse("BE0123456749", Strictness::Lax).is_err());
        let padded = EnterpriseNumber::parse("000000196", Strictness::Strict).unwrap();
        assert_eq!(padded, EnterpriseNumber::parse("0000000196", Strictness::Strict).unwrap());
    }

    #[test]
    fn tickets() {
        assert!(Ticket::parse("0123456789ABC").is_ok());
        for bad in ["0123456789ABI", "0123456789ABO", "0123456789abc", "0123456789AB", "0123456789ABCD", ""] {
            assert!(Ticket::parse(bad).is_err(), "{bad}");
        }
        let mut next = 0_u8;
        let mut fill = |buffer: &mut [u8]| {
            for byte in buffer {
                *byte = next;
                next = next.wrapping_add(7);
            }
        };
        let ticket = Ticket::from_random(&mut fill);
        assert_eq!(Ticket::parse(ticket.as_str()), Ok(ticket));
        assert_ne!(ticket, Ticket::from_random(&mut fill));
        // Bytes that would make some characters likelier are not used.
        let mut biased = |buffer: &mut [u8]| {
            buffer.fill(255);
            if let Some(tail) = buffer.get_mut(19..) {
                tail.fill(33);
            }
        };
        assert_eq!(Ticket::from_random(&mut biased).as_str(), "ZZZZZZZZZZZZZ");
    }

    #[test]
    fn texts_at_the_limit() {
        assert!(Token::parse(&"é".repeat(50)).is_ok());
        assert!(Token::parse(&"é".repeat(51)).is_err());
        assert!(Token::parse("").unwrap().is_empty());
        assert!(QualityCode::parse("").is_err());
        assert!(QualityCode::parse(&"Q".repeat(126)).is_err());
    }

    #[test]
    fn serde_goes_through_parse() {
        assert!(serde_json::from_str::<Ticket>("\"0123456789ABO\"").is_err());
        let number: EnterpriseNumber = serde_json::from_str("\"000000196\"").unwrap();
        assert_eq!(serde_json::to_string(&number).unwrap(), "\"000000196\"");
        assert!(serde_json::from_str::<Ssin>("\"1\"").is_err());
    }
}
