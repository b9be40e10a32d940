use super::*;
use crate::message::tests::{document, golden};

const VERSIONS: [SoapVersion; 2] = [SoapVersion::V11, SoapVersion::V12];

fn refusal(code: FaultCode, check: &'static str) -> Refusal {
    Refusal::new(code, check, "SendDocumentRequest: <x> seen", "y", "Do z.")
}

fn written(refusal: &Refusal, namespace: Namespace, version: SoapVersion) -> String {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let xml = write_fault(refusal, "01890a5d-ac96", namespace, version, now, Environment::Acc);
    String::from_utf8(xml).unwrap()
}

fn read(xml: &str) -> ReceivedFault {
    let document = document(xml);
    let body = document.root().children().next().unwrap();
    let fault = body.children().next().unwrap();
    parse_fault(fault).unwrap()
}

#[test]
fn every_code_is_written_and_read() {
    for &code in FaultCode::ALL {
        for version in VERSIONS {
            for namespace in [Namespace::ServiceProvider, Namespace::Consumer] {
                let fault = read(&written(&refusal(code, "some.check"), namespace, version));
                assert_eq!(fault.fault_code(), Some(code));
                assert_eq!(fault.id.as_deref(), Some("01890a5d-ac96"));
                assert_eq!(fault.retry, code.retry());
                let languages: Vec<&str> = fault.messages.iter().map(|(tag, _)| tag.as_str()).collect();
                assert_eq!(languages, ["en", "fr", "nl", "de"]);
            }
        }
        let xml = written(&refusal(code, "some.check"), Namespace::ServiceProvider, SoapVersion::V11);
        golden(&format!("fault-{code}.xml"), xml.as_bytes());
    }
    let schema = refusal(FaultCode::Soa03006, "schema.order");
    golden("fault-consumer.xml", written(&schema, Namespace::Consumer, SoapVersion::V11).as_bytes());
    golden("fault-soap12.xml", written(&schema, Namespace::ServiceProvider, SoapVersion::V12).as_bytes());
}

#[test]
fn every_language_names_check_seen_expected_and_remedy() {
    for &code in FaultCode::ALL {
        let refusal = refusal(code, "some.check");
        for version in VERSIONS {
            let fault = read(&written(&refusal, Namespace::ServiceProvider, version));
            for language in FaultLanguage::ALL {
                let text = fault.message(language.as_str()).unwrap();
                assert!(text.starts_with(code.text(language)), "{code} {text}");
                let told = ["[some.check]", ": SendDocumentRequest: <x> seen.", ": y."];
                let ours = code.origin() == FaultOrigin::Provider;
                if ours || code.is_oracle() {
                    assert!(text.ends_with(&format!(": {}", code.remedy(language))), "{code} {text}");
                    assert!(told.iter().all(|piece| !text.contains(piece)), "{code} {text}");
                    continue;
                }
                let remedy = if language == FaultLanguage::En { "Do z." } else { code.remedy(language) };
                assert!(text.ends_with(&format!(": {remedy}")), "{code} {text}");
                assert!(told.iter().all(|piece| text.contains(piece)), "{code} {text}");
            }
        }
    }
    // A refusal without a remedy of its own has its code's.
    let bare = Refusal::new(FaultCode::EpostB06, "scan", "x", "y", "");
    let fault = read(&written(&bare, Namespace::ServiceProvider, SoapVersion::V11));
    assert!(fault.message("en").unwrap().ends_with("Remedy: Clean the file and send it as a new item."));
}

#[test]
fn detail_is_not_told_where_it_is_an_oracle() {
    for (code, check) in [
        (FaultCode::RepoB01, "item.foreign"),
        (FaultCode::Soa01002, "uam.sender"),
        (FaultCode::Soa01001, "wss.signature.value"),
        (FaultCode::Soa02001, "store.broken"),
    ] {
        let xml = written(&refusal(code, check), Namespace::ServiceProvider, SoapVersion::V11);
        assert!(!xml.contains(check) && !xml.contains("seen"), "{xml}");
    }
}

#[test]
fn absent_and_foreign_look_alike() {
    let xml =
        |check| written(&refusal(FaultCode::RepoB01, check), Namespace::ServiceProvider, SoapVersion::V11);
    assert_eq!(xml("item.absent"), xml("item.foreign"));
}

#[test]
fn soap_names_the_party() {
    let code = |code, check, version| {
        let xml = written(&refusal(code, check), Namespace::ServiceProvider, version);
        ["Client", "Server", "Sender", "Receiver", "MustUnderstand", "VersionMismatch"]
            .into_iter()
            .find(|name| xml.contains(&format!(">soapenv:{name}<")))
    };
    assert_eq!(code(FaultCode::Soa03006, "a", SoapVersion::V11), Some("Client"));
    assert_eq!(code(FaultCode::Soa02001, "a", SoapVersion::V11), Some("Server"));
    assert_eq!(code(FaultCode::Soa03006, "a", SoapVersion::V12), Some("Sender"));
    assert_eq!(code(FaultCode::Soa02001, "a", SoapVersion::V12), Some("Receiver"));
    assert_eq!(code(FaultCode::Soa03002, "soap.must-understand", SoapVersion::V11), Some("MustUnderstand"));
    assert_eq!(code(FaultCode::Soa03002, "soap.version-mismatch", SoapVersion::V12), Some("VersionMismatch"));
}

#[test]
fn a_foreign_fault_tells_what_it_can() {
    let soap = SoapVersion::V11.namespace();
    let xml = format!(
        "<s:Fault xmlns:s=\"{soap}\"><faultcode>s:Server</faultcode><faultstring>no\u{7f}pe</faultstring></s:Fault>"
    );
    let fault = parse_fault(document(&xml).root()).unwrap();
    assert_eq!(fault.code, r"no\u{7f}pe");
    assert_eq!(fault.fault_code(), None);
    assert_eq!(parse_fault(document("<Fault/>").root()), None);
}
