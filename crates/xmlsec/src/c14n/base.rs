//! Joining `xml:base` values.
//!
//! Source: Canonical XML 1.1 §2.4 and its appendix A: RFC 3986 §5.2 changed so that a base may be relative, the
//! fragment is dropped, and leading `..` segments are kept.

/// A reference split by RFC 3986 appendix B.
struct Parts<'a> {
    scheme: Option<&'a str>,
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
}

/// `reference` as seen from `base`; either may be relative or empty.
pub(super) fn join(base: &str, reference: &str) -> String {
    let base = split(base);
    // Appendix A: a reference that ends in `..` is taken as one that ends in `../`, the base likewise.
    let r = split(reference);
    let (authority, path, query);
    let mut scheme = r.scheme;
    if r.scheme.is_some() || r.authority.is_some() {
        (authority, path, query) = (r.authority, remove_dot_segments(r.path), r.query);
        scheme = scheme.or(base.scheme);
    } else {
        scheme = base.scheme;
        authority = base.authority;
        if r.path.is_empty() {
            path = remove_dot_segments(base.path);
            query = r.query.or(base.query);
        } else if r.path.starts_with('/') {
            (path, query) = (remove_dot_segments(r.path), r.query);
        } else {
            (path, query) = (remove_dot_segments(&merge(&base, r.path)), r.query);
        }
    }
    let mut joined = String::new();
    if let Some(scheme) = scheme {
        joined.push_str(scheme);
        joined.push(':');
    }
    if let Some(authority) = authority {
        joined.push_str("//");
        joined.push_str(authority);
    }
    joined.push_str(&path);
    if let Some(query) = query {
        joined.push('?');
        joined.push_str(query);
    }
    joined
}

fn split(reference: &str) -> Parts<'_> {
    let reference = reference.split_once('#').map_or(reference, |(before, _)| before);
    let (reference, query) =
        reference.split_once('?').map_or((reference, None), |(before, query)| (before, Some(query)));
    let (scheme, rest) = match reference.split_once(':') {
        Some((scheme, rest)) if !scheme.is_empty() && !scheme.contains('/') => (Some(scheme), rest),
        _ => (None, reference),
    };
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
            (Some(authority), path)
        }
        None => (None, rest),
    };
    Parts { scheme, authority, path, query }
}

fn merge(base: &Parts<'_>, path: &str) -> String {
    if base.authority.is_some() && base.path.is_empty() {
        return format!("/{path}");
    }
    // A base that ends in `..` names a directory.
    if base.path == ".." || base.path.ends_with("/..") {
        return format!("{}/{path}", base.path);
    }
    let directory = base.path.rfind('/').and_then(|slash| base.path.get(..=slash)).unwrap_or("");
    format!("{directory}{path}")
}

/// RFC 3986 §5.2.4, but a `..` that has nothing to remove stays in a relative path, and slashes are not doubled.
fn remove_dot_segments(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.split('/').collect();
    let last = segments.len().saturating_sub(1);
    let mut directory = false;
    for (index, &segment) in segments.iter().enumerate() {
        directory = false;
        match segment {
            "" if index == last => directory = true,
            "" => {}
            "." => directory = index == last,
            ".." => {
                match kept.last() {
                    Some(&before) if before != ".." => {
                        kept.pop();
                    }
                    _ if absolute => {}
                    _ => kept.push(".."),
                }
                directory = index == last;
            }
            segment => kept.push(segment),
        }
    }
    let mut out = String::with_capacity(path.len() + 1);
    if absolute {
        out.push('/');
    }
    out.push_str(&kept.join("/"));
    if directory && !kept.is_empty() {
        out.push('/');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::join;

    /// Canonical XML 1.1 §2.4 and its examples (3.8: three nested relative bases).
    #[test]
    fn relative_bases_join() {
        let cases = [
            ("", "http://www.example.com/something/else", "http://www.example.com/something/else"),
            ("http://a/b/c/d", "../x", "http://a/b/x"),
            ("foo/bar", "..", ""),
            ("..", "x", "../x"),
            ("../bar", "foo", "../foo"),
            ("../", "../b", "../../b"),
            ("http://a/b/", "", "http://a/b/"),
            ("http://a/b/#frag", "c#d", "http://a/b/c"),
        ];
        for (base, reference, joined) in cases {
            assert_eq!(join(base, reference), joined, "{base} + {reference}");
        }
    }
}
