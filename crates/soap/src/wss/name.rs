//! Comparing an issuer's name in text (RFC 2253, RFC 4514, and what .NET and Java write) with a parsed one.
//!
//! It only picks one of a few candidate certificates, whose key then has to verify the signature; it vouches for nothing.

/// Whether two names in text have the same attributes in the same order, or in the opposite one.
pub(super) fn same(left: &str, right: &str) -> bool {
    match (parse(left), parse(right)) {
        (Some(left), Some(mut right)) => {
            left == right || {
                right.reverse();
                left == right
            }
        }
        _ => false,
    }
}

/// The attributes in the order written, types by one spelling, values unescaped.
fn parse(name: &str) -> Option<Vec<(String, String)>> {
    let mut attributes = Vec::new();
    let mut rest = name.trim();
    while !rest.is_empty() {
        let (kind, after) = rest.split_once('=')?;
        let (value, after) = value(after.trim_start())?;
        attributes.push((kind_of(kind.trim()), value));
        rest = after.trim_start();
    }
    Some(attributes)
}

fn value(text: &str) -> Option<(String, &str)> {
    let mut bytes: Vec<u8> = Vec::new();
    // White space at the end counts only if escaped.
    let mut kept = 0;
    let mut quoted = false;
    let mut characters = text.char_indices();
    let mut buffer = [0; 4];
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => {
                quoted = !quoted;
                kept = bytes.len();
            }
            '\\' => {
                let (_, escaped) = characters.next()?;
                match escaped.to_digit(16) {
                    Some(high) => {
                        let (_, low) = characters.next()?;
                        bytes.push(u8::try_from(high * 16 + low.to_digit(16)?).ok()?);
                    }
                    None => bytes.extend_from_slice(escaped.encode_utf8(&mut buffer).as_bytes()),
                }
                kept = bytes.len();
            }
            ',' | ';' | '+' if !quoted => {
                bytes.truncate(kept);
                return Some((String::from_utf8(bytes).ok()?, text.get(at + 1..)?));
            }
            other => {
                bytes.extend_from_slice(other.encode_utf8(&mut buffer).as_bytes());
                if !other.is_whitespace() || quoted {
                    kept = bytes.len();
                }
            }
        }
    }
    bytes.truncate(kept);
    (!quoted).then_some(())?;
    Some((String::from_utf8(bytes).ok()?, ""))
}

fn kind_of(kind: &str) -> String {
    const SPELLINGS: [(&str, &str); 12] = [
        ("2.5.4.3", "CN"),
        ("2.5.4.6", "C"),
        ("2.5.4.7", "L"),
        ("2.5.4.8", "ST"),
        ("S", "ST"),
        ("2.5.4.10", "O"),
        ("2.5.4.11", "OU"),
        ("2.5.4.5", "SERIALNUMBER"),
        ("1.2.840.113549.1.9.1", "EMAILADDRESS"),
        ("E", "EMAILADDRESS"),
        ("2.5.4.97", "ORGANIZATIONIDENTIFIER"),
        ("0.9.2342.19200300.100.1.25", "DC"),
    ];
    let kind = kind.to_ascii_uppercase();
    let kind = kind.strip_prefix("OID.").unwrap_or(&kind);
    SPELLINGS.iter().find(|(spelling, _)| *spelling == kind).map_or(kind, |(_, name)| name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn spellings_of_one_name() {
        let name = r"CN=Issuing CA\, one,OU=Belgian Federal Government,O=ePost,C=BE";
        for other in [
            r"CN=Issuing CA\, one, OU=Belgian Federal Government, O=ePost, C=BE",
            r#"cn="Issuing CA, one", ou=Belgian Federal Government, o=ePost, c=BE"#,
            r"C=BE, O=ePost, OU=Belgian Federal Government, CN=Issuing CA\2C one",
            r"2.5.4.3=Issuing CA\, one;OU=Belgian Federal Government;OID.2.5.4.10=ePost;C=BE",
        ] {
            assert!(same(name, other), "{other}");
        }
        for other in [
            "",
            "CN=Issuing CA",
            r"CN=issuing ca\, one,OU=Belgian Federal Government,O=ePost,C=BE",
            "x",
            "CN=\\",
        ] {
            assert!(!same(name, other), "{other}");
        }
    }
}
