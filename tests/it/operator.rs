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
