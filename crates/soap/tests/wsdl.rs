//! Contract B's WSDL documents are one contract: they differ in their heads (documentation, policy) alone, and SOAP 1.2 is bound as
//! SOAP 1.1 is.
//!
//! `RegisteredMail_v2.wsdl` is edited by hand down to its SOAP 1.1 binding, the others down to their types; the rest follows, and is
//! written by `EPOST_BLESS=1 cargo test -p soap --test wsdl`.

use std::path::{Path, PathBuf};

use xmlsec::{Document, Element, Limits};

const VARIANTS: [&str; 3] = ["-asymmetric", "-mtom", "-nopolicy"];
const WSDL: &str = "http://schemas.xmlsoap.org/wsdl/";

fn file(variant: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../wsdl/v2/RegisteredMail_v2{variant}.wsdl"))
}

fn read(variant: &str) -> String {
    std::fs::read_to_string(file(variant)).expect("a WSDL")
}

/// What a document says of itself, and the contract.
fn head_and_contract(text: &str) -> (&str, &str) {
    text.split_at(text.find("  <wsdl:types>").expect("types"))
}

/// From the place where `from` stands to the end of the next `to`.
fn block<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let start = text.find(from).unwrap_or_else(|| panic!("{from}"));
    let length = text[start..].find(to).unwrap_or_else(|| panic!("{to}")) + to.len();
    &text[start..start + length]
}

/// The contract with its SOAP 1.2 binding and port made of those of SOAP 1.1.
fn bound_twice(contract: &str) -> String {
    let twice =
        |block: &str| format!("{block}{}", block.replace("soap11:", "soap12:").replace("SOAP11", "SOAP12"));
    let binding = block(contract, "  <wsdl:binding name=\"RegisteredMailSOAP11", "</wsdl:binding>\n");
    let port = block(contract, "    <wsdl:port name=\"RegisteredMailSOAP11", "</wsdl:port>\n");
    let service = block(contract, "  <wsdl:service ", ">\n");
    let before = &contract[..contract.find(binding).expect("the binding")];
    format!("{before}{}{service}{}  </wsdl:service>\n</wsdl:definitions>\n", twice(binding), twice(port))
}

#[test]
fn every_variant_is_the_same_contract() {
    let (default, bless) = (read(""), std::env::var_os("EPOST_BLESS").is_some());
    let (head, contract) = head_and_contract(&default);
    let contract = bound_twice(contract);
    let mut made = vec![("", default.clone(), format!("{head}{contract}"))];
    for variant in VARIANTS {
        let text = read(variant);
        let (head, _) = head_and_contract(&text);
        let contract = match head.contains("<wsp:Policy ") {
            true => contract.clone(),
            false => contract.replace("    <wsp:PolicyReference URI=\"#Security\"/>\n", ""),
        };
        let whole = format!("{head}{contract}");
        made.push((variant, text, whole));
    }
    for (variant, text, whole) in made {
        if bless {
            std::fs::write(file(variant), whole).expect("written");
        } else {
            assert_eq!(
                text, whole,
                "RegisteredMail_v2{variant}.wsdl: EPOST_BLESS=1 cargo test -p soap --test wsdl"
            );
        }
    }
}

/// The element's descendants of that name, by their `attribute`.
fn named(element: Element<'_>, namespace: &str, name: &str, attribute: &str) -> Vec<String> {
    let found = element.descendants_and_self().filter(|found| found.is(namespace, name));
    found.filter_map(|found| Some(found.attribute(None, attribute)?.into_owned())).collect()
}

#[test]
fn every_operation_is_bound_in_both_versions_under_the_policy() {
    for variant in ["", "-asymmetric", "-mtom", "-nopolicy"] {
        let document = Document::parse(read(variant).into_bytes(), &Limits::default()).expect("XML");
        let under =
            |name: &str| document.root().children().filter(|child| child.is(WSDL, name)).collect::<Vec<_>>();
        let offered = named(under("portType")[0], WSDL, "operation", "name");
        assert!(offered.contains(&"submit".to_owned()), "{offered:?}");
        let bindings = under("binding");
        assert_eq!(bindings.len(), 2, "{variant}");
        for binding in bindings {
            assert_eq!(named(binding, WSDL, "operation", "name"), offered, "{variant}");
            let policies = named(binding, "http://www.w3.org/ns/ws-policy", "PolicyReference", "URI");
            let expected: &[&str] = if variant == "-nopolicy" { &[] } else { &["#Security"] };
            assert_eq!(policies, expected, "{variant}");
        }
        let ports = named(under("service")[0], WSDL, "port", "name");
        assert_eq!(ports, ["RegisteredMailSOAP11", "RegisteredMailSOAP12"]);
    }
}

#[test]
fn each_policy_is_its_own() {
    for (variant, holds, lacks) in [
        ("", "<sp:TransportBinding>", "<sp:AsymmetricBinding>"),
        ("-asymmetric", "<sp:AsymmetricBinding>", "<sp:TransportBinding>"),
        ("-mtom", "<wsoma:OptimizedMimeSerialization", "<sp:AsymmetricBinding>"),
        ("-nopolicy", "Without policy", "<wsp:Policy"),
    ] {
        let text = read(variant);
        let (head, _) = head_and_contract(&text);
        assert!(head.contains(holds) && !head.contains(lacks), "{variant}");
        let signs = [
            "<sp:Body/>",
            "<sp:Basic256Sha256/>",
            "signatureAlgorithm=\"SHA256withRSA\"",
            "<sp:IncludeTimestamp/>",
        ];
        let policy = variant != "-nopolicy";
        assert!(signs.iter().all(|what| head.contains(what) == policy), "{variant}");
    }
    let heads = ["", "-mtom"].map(|variant| head_and_contract(&read(variant)).0.to_owned());
    let policy = |head: &str| block(head, "<sp:TransportBinding>", "</wsp:Policy>\n  <").to_owned();
    let policy = |head: &str| policy(&format!("{head}  <"));
    assert_eq!(policy(&heads[0]), policy(&heads[1]), "MTOM is all that -mtom adds");
}
