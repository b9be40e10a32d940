//! The operators' door: figures that count what happened, and a health that tells the truth.

use erds::Status;

use crate::house::draft::submission;
use crate::house::{Draft, Sandbox, file};

/// The value of the series with exactly these labels.
fn series(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_count_what_happened() {
    let sandbox = Sandbox::start().await;
    let files = [file(3, 5_000), file(4, 6_000)];
    let receipt = sandbox.ask(&Draft::of(&submission("T-1", &files), &files)).await.receipt();
    sandbox.status(&receipt.ticket, Status::Sent).await;
    let wrong = Draft::of(&submission("T-2", &files), &[file(5, 5_000), file(4, 6_000)]);
    assert_eq!(sandbox.ask(&wrong).await.code(), "FILE_B01");

    let (status, content_type, text) = sandbox.watch("/metrics").await;
    assert_eq!(status, 200, "{text}");
    assert!(content_type.starts_with("application/openmetrics-text"), "{content_type}");
    assert!(text.ends_with("# EOF\n"));
    let value = |name: &str| series(&text, name).unwrap_or_else(|| panic!("no {name} in\n{text}"));
    let sent = r#"epost_requests_total{operation="sendDocument",outcome="#;
    assert_eq!(value(&format!(r#"{sent}"OK"}}"#)), 1.0);
    assert_eq!(value(&format!(r#"{sent}"FILE_B01"}}"#)), 1.0);
    assert_eq!(value(r#"epost_items{status="SENT"}"#), 1.0);
    assert_eq!(value(r#"epost_items{status="PENDING"}"#), 0.0);
    assert_eq!(value("epost_journal_records"), sandbox.records().len() as f64);
    assert_eq!(value("epost_index_lag_records"), 0.0);
    assert_eq!(value(r#"epost_stage_seconds_count{stage="stamp"}"#), 2.0, "receipt and proof of dispatch");
    for stage in ["read", "authenticate", "digests", "inquire", "append", "seal", "answer"] {
        assert!(value(&format!(r#"epost_stage_seconds_count{{stage="{stage}"}}"#)) >= 1.0, "{stage}");
    }
    for option in ["listen.certificate", "seal.certificate", "ebox.certificate"] {
        assert!(
            value(&format!(r#"epost_certificate_days_left{{certificate="{option}"}}"#)) > 1.0,
            "{option}"
        );
    }
    assert!(value("epost_crl_seconds_left") > 0.0);
    assert!(value("epost_free_bytes") > 0.0);
    assert_eq!(value("epost_seal_in_force"), 1.0);
    assert!(!text.contains(receipt.ticket.as_str()) && !text.contains("T-1"), "nothing of an item is told");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_which_part_is_not_in_order() {
    let sandbox = Sandbox::start().await;
    let (status, content_type, text) = sandbox.watch("/health").await;
    assert_eq!((status, content_type.as_str()), (200, "application/json"), "{text}");

    let data = sandbox.layout().directory.join("data");
    let away = sandbox.layout().directory.join("away");
    std::fs::rename(&data, &away).unwrap();
    let (status, _, text) = sandbox.watch("/health").await;
    let said: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, said["ok"].as_bool()), (503, Some(false)), "{text}");
    let disk = said["parts"].as_array().unwrap().iter().find(|part| part["part"] == "disk").unwrap();
    assert_eq!(disk["ok"], false, "{text}");
    std::fs::rename(&away, &data).unwrap();
    assert_eq!(sandbox.watch("/health").await.0, 200);

    for (path, expected) in [("/", 404), ("/metrics/", 404), ("/RegisteredMail/v1", 404)] {
        assert_eq!(sandbox.watch(path).await.0, expected, "{path}");
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_comes_into_force_while_serving_and_a_damaged_one_does_not() {
    let sandbox = Sandbox::start().await;
    let path = sandbox.layout().policy.clone();
    let (service, full) = (sandbox.service(), std::fs::read_to_string(&path).unwrap());
    let ask = async |token: &str| sandbox.verdict(&sandbox.ask(&Draft::submission(token)).await);
    let put = |text: &str| std::fs::write(&path, text).unwrap();
    let in_force = async || {
        let (status, _, text) = sandbox.watch("/health").await;
        assert_eq!(status, 200, "{text}");
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["policy"].clone()
    };
    let digest = |text: &str| erds::record::Hex32(pki::digest::sha256(text.as_bytes())).to_hex();
    assert_eq!(ask("T-1").await, "accepted");

    let none = full.split_once("[[grant]]").unwrap().0.to_owned();
    put(&none);
    // True: put in force here; false: the service's own look came first.
    sandbox.access().reload(service).await.unwrap();
    assert!(ask("T-2").await.starts_with("SOA-01002"), "the grant was removed");
    let policy = in_force().await;
    assert_eq!((policy["sha256"].as_str(), policy["grants"].as_u64()), (Some(&*digest(&none)), Some(0)));

    put(&full);
    sandbox.access().reload(service).await.unwrap();
    assert_eq!(ask("T-3").await, "accepted", "the grant was added");
    assert!(!sandbox.access().reload(service).await.unwrap(), "the same file is no change");

    for (damaged, code) in [
        (format!("{none}\n[[grant]]\n"), "policy.form"),
        (format!("{full}\n[[grunt]]\n"), "policy.form"),
        ("\n".to_owned(), "policy.empty-file"),
    ] {
        put(&damaged);
        assert_eq!(sandbox.access().reload(service).await.unwrap_err().code(), code);
        assert_eq!(ask(&format!("T-{}", damaged.len())).await, "accepted", "the old policy decides");
        let policy = in_force().await;
        assert_eq!(policy["sha256"].as_str(), Some(&*digest(&full)));
        assert!(policy["problem"].is_string(), "{policy}");
        assert_eq!(series(&sandbox.watch("/metrics").await.2, "epost_policy_current"), Some(0.0));
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(sandbox.access().reload(service).await.unwrap_err().code(), "policy.file");
    assert_eq!(ask("T-6").await, "accepted");

    put(&full);
    assert!(!sandbox.access().reload(service).await.unwrap());
    assert!(in_force().await["problem"].is_null());
    assert_eq!(series(&sandbox.watch("/metrics").await.2, "epost_policy_current"), Some(1.0));
    let changes = sandbox.records().into_iter().filter_map(|stored| match stored.record {
        erds::record::Record::Control(act) if act.action == "uam.policy" => Some(act.detail),
        _ => None,
    });
    let changes: Vec<String> = changes.collect();
    assert!(
        matches!(&changes[..], [_, removed, added] if removed.contains(&digest(&none)) && added.contains("before")),
        "{changes:?}"
    );
    sandbox.stop().await;
}
