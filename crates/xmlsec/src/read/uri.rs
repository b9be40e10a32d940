//! Which namespace names are taken.

use crate::chars::with;

/// Whether a namespace name is a URI of RFC 3986 with a scheme, without an IP literal (the one place of brackets) or an empty port.
///
/// libxml2 finds no canonical form for others, so that they could only divide readers.
pub(super) fn is_absolute(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else { return false };
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    scheme.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
        && [rest, fragment].into_iter().all(|part| {
            part.bytes().all(|byte| URI_BYTE[usize::from(byte)])
        })
        && (!uri.contains('%')
            || uri.split('%').skip(1).all(
                |after| matches!(after.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()),
            ))
        && rest.strip_prefix("//").is_none_or(|rest| {
            let authority = rest.split(['/', '?']).next().unwrap_or_default();
            let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            host_and_port.split_once(':').is_none_or(|(host, port)| {
                let digits = port.bytes().all(|byte| byte.is_ascii_digit());
                !host.is_empty() && digits && (1..=5).contains(&port.len())
            })
        })
}

/// RFC 3986 §3: what may stand in an authority, path, query or fragment, the brackets of IPv6 addresses excepted.
const URI_BYTE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = b'a';
    while byte <= b'z' {
        table[byte as usize] = true;
        table[byte.to_ascii_uppercase() as usize] = true;
        byte += 1;
    }
    with(table, b"0123456789-._~:/?@!$&'()*+,;=%")
};
