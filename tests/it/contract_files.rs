//! The contract as the door serves it: each file that a WSDL or a schema names can be had, and nothing else.

use std::collections::BTreeSet;

use xmlsec::{Document, Limits};

use crate::house::{Answered, Sandbox};

#[tokio::test(flavor = "multi_thread")]
async fn each_wsdl_and_each_schema_that_it_names_is_served() {
    let sandbox = Sandbox::start().await;
    for path in ["/RegisteredMail/v1", "/RegisteredMail/v2"] {
        let mut seen = BTreeSet::new();
        let mut wanted = vec!["?wsdl".to_owned()];
        while let Some(query) = wanted.pop() {
            if !seen.insert(query.clone()) {
                continue;
            }
            let answer = get(&sandbox, &format!("{path}{query}")).await;
            assert_eq!(
                (answer.status, answer.content_type.as_str()),
                (200, "text/xml; charset=utf-8"),
                "{path}{query}"
            );
            let text = String::from_utf8(answer.body.clone()).unwrap();
            Document::parse(answer.body, &Limits::default()).unwrap();
            for named in text.split("schemaLocation=\"").skip(1) {
                wanted.push(named.split('"').next().unwrap().to_owned());
            }
            if query == "?wsdl" {
                assert!(
                    text.contains(&format!("location=\"{}\"", sandbox.url(path))),
                    "its own address: {text}"
                );
            }
        }
        assert!(seen.len() > 3, "{path}: {seen:?}");
    }
    for also in ["?WSDL", "?wsdl=", "?xsd=ProofOfDispatch.xsd"] {
        assert_eq!(get(&sandbox, &format!("/RegisteredMail/v1{also}")).await.status, 200, "{also}");
    }
    for none in ["", "?", "?xsd", "?xsd=RegisteredMail_v1.wsdl", "?xsd=%2e%2e/v1/xml.xsd", "?wsdl&x"] {
        assert_eq!(get(&sandbox, &format!("/RegisteredMail/v1{none}")).await.status, 404, "{none}");
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_comes_as_one_zip_whose_files_name_each_other() {
    let sandbox = Sandbox::start().await;
    for path in ["/RegisteredMail/v1", "/RegisteredMail/v2"] {
        let answer = get(&sandbox, &format!("{path}?wsdl.zip")).await;
        assert_eq!((answer.status, answer.content_type.as_str()), (200, "application/zip"), "{path}");
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(answer.body)).unwrap();
        let names: BTreeSet<String> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
        let mut named = BTreeSet::new();
        for name in &names {
            let text = std::io::read_to_string(archive.by_name(name).unwrap()).unwrap();
            named.extend(
                text.split("schemaLocation=\"")
                    .skip(1)
                    .map(|rest| rest.split('"').next().unwrap().to_owned()),
            );
            assert!(
                !name.ends_with(".wsdl") || text.contains(&format!("location=\"{}\"", sandbox.url(path)))
            );
        }
        assert!(named.len() > 3 && named.is_subset(&names), "{path}: {named:?} in {names:?}");
    }
    sandbox.stop().await;
}

async fn get(sandbox: &Sandbox, path_query: &str) -> Answered {
    let request = sandbox.client("alice").get(sandbox.url(path_query));
    crate::house::wire::read(request.send().await.unwrap()).await.unwrap()
}
