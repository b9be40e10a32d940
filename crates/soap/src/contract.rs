//! The published contract: WSDLs and schemas, served under the address that serves the requests.

/// What stands in the files where the service's address belongs.
const ADDRESS_PLACEHOLDER: &str = "REPLACE_WITH_ACTUAL_URL";

/// What a WSDL or a schema is served as.
const CONTENT_TYPE: &str = "text/xml; charset=utf-8";

type Files = &'static [(&'static str, &'static str)];

macro_rules! files {
    ($folder:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../wsdl/", $folder, "/", $name)))),*]
    };
}

const V1: Files = files!("v1":
    "RegisteredMail_v1.wsdl",
    "RegisteredMail_v1.xsd",
    "RegisteredMail_types_v1.xsd",
    "serviceprovider-errors-v1.xsd",
    "errors-v1.xsd",
    "monitoring-v1.xsd",
    "swaref.xsd",
    "xml.xsd",
    "ProofOfDispatch.xsd",
);

const V2: Files = files!("v2":
    "RegisteredMail_v2.wsdl",
    "RegisteredMail_v2-asymmetric.wsdl",
    "RegisteredMail_v2-mtom.wsdl",
    "RegisteredMail_v2-nopolicy.wsdl",
    "RegisteredMail_v2.xsd",
    "RegisteredMail_types_v1.xsd",
    "serviceprovider-errors-v1.xsd",
    "errors-v1.xsd",
    "swaref.xsd",
    "xml.xsd",
);

/// The document that GET `path?query` names: `wsdl`, `wsdl=VARIANT` (as in `RegisteredMail_v2-VARIANT.wsdl`), or `xsd=NAME` as a
/// schemaLocation says; with its content type.
///
/// `address` is the service's own, e.g. `https://host:8443` or with the path: it goes into the WSDL's port.
/// Names are compared with a list; nothing named by a request is opened.
pub fn document(path: &str, query: &str, address: &str) -> Option<(&'static str, Vec<u8>)> {
    let files = files(path)?;
    let name = match query.split_once('=') {
        None | Some((_, "")) if query.trim_end_matches('=').eq_ignore_ascii_case("wsdl") => files.first()?.0,
        Some((key, name)) if key.eq_ignore_ascii_case("wsdl") => {
            files.iter().find(|(file, _)| variant(file) == Some(name))?.0
        }
        Some((key, name)) if key.eq_ignore_ascii_case("xsd") && name.ends_with(".xsd") => name,
        _ => return None,
    };
    let (_, text) = files.iter().find(|(file, _)| *file == name)?;
    let text = text.replace("schemaLocation=\"", "schemaLocation=\"?xsd=");
    Some((CONTENT_TYPE, addressed(&text, path, address).into_bytes()))
}

/// All that `path` serves, as files of one folder that name each other relatively: name and text, the WSDL first, with the
/// service's own address in its port. `None` for another path.
pub fn folder(path: &str, address: &str) -> Option<Vec<(&'static str, String)>> {
    Some(files(path)?.iter().map(|(name, text)| (*name, addressed(text, path, address))).collect())
}

/// The files as they lie in `wsdl/`: name and text, the WSDL first. `None` for another path.
pub fn files(path: &str) -> Option<&'static [(&'static str, &'static str)]> {
    match path {
        "/RegisteredMail/v1" => Some(V1),
        "/RegisteredMail/v2" => Some(V2),
        _ => None,
    }
}

fn variant(file: &str) -> Option<&str> {
    Some(file.strip_suffix(".wsdl")?.split_once('-')?.1)
}

fn addressed(text: &str, path: &str, address: &str) -> String {
    if !text.contains(ADDRESS_PLACEHOLDER) {
        return text.to_owned();
    }
    let base = address.trim_end_matches('/');
    let address = if base.ends_with(path) { base.to_owned() } else { format!("{base}{path}") };
    let mut escaped = Vec::new();
    xml_attribute(&address, &mut escaped);
    text.replace(ADDRESS_PLACEHOLDER, &String::from_utf8_lossy(&escaped))
}

/// The address comes from our configuration; escaped all the same.
fn xml_attribute(value: &str, out: &mut Vec<u8>) {
    for byte in value.bytes() {
        match byte {
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'"' => out.extend_from_slice(b"&quot;"),
            byte => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xmlsec::{Document, Limits};

    const ADDRESS: &str = "https://localhost:8443";

    #[test]
    fn every_location_leads_to_a_document() {
        for (path, files) in [("/RegisteredMail/v1", V1), ("/RegisteredMail/v2", V2)] {
            let variants =
                files.iter().filter_map(|(file, _)| variant(file)).map(|name| format!("wsdl={name}"));
            let mut seen: Vec<String> = std::iter::once("wsdl".to_owned()).chain(variants).collect();
            let mut next = 0;
            while let Some(query) = seen.get(next).cloned() {
                let (_, bytes) = document(path, &query, ADDRESS).unwrap_or_else(|| panic!("{path}?{query}"));
                let parsed = Document::parse(bytes, &Limits::default()).unwrap();
                for element in parsed.root().descendants_and_self() {
                    if let Some(location) = element.attribute(None, "schemaLocation") {
                        let query = location.strip_prefix('?').unwrap().to_owned();
                        if !seen.contains(&query) {
                            seen.push(query);
                        }
                    }
                }
                next += 1;
            }
            // The proof's own schema is imported by nobody.
            let alone = usize::from(path.ends_with("v1"));
            assert_eq!(seen.len() + alone, files.len(), "{path}: {seen:?}");
        }
    }

    #[test]
    fn the_address_is_filled_in() {
        for address in [ADDRESS, "https://localhost:8443/", "https://localhost:8443/RegisteredMail/v1"] {
            let (content_type, bytes) = document("/RegisteredMail/v1", "wsdl", address).unwrap();
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.contains("location=\"https://localhost:8443/RegisteredMail/v1\""));
            assert!(!text.contains(ADDRESS_PLACEHOLDER));
            assert_eq!(content_type, CONTENT_TYPE);
        }
    }

    #[test]
    fn nothing_else_is_served() {
        for query in [
            "",
            "xsd",
            "xsd=",
            "xsd=../Cargo.toml",
            "xsd=RegisteredMail_v1.wsdl",
            "wsdl=x",
            "wsdl=nopolicy",
            "WSDL&x",
            "singleWsdl",
        ] {
            assert_eq!(document("/RegisteredMail/v1", query, ADDRESS), None, "{query}");
        }
        assert_eq!(document("/RegisteredMail/v2", "wsdl=v2", ADDRESS), None);
        assert_eq!(document("/RegisteredMail/v3", "wsdl", ADDRESS), None);
        assert!(document("/RegisteredMail/v1", "WSDL", ADDRESS).is_some());
        assert!(document("/RegisteredMail/v1", "xsd=ProofOfDispatch.xsd", ADDRESS).is_some());
    }
}
