//! `epost consult` by its own program, against the door of a sandbox: what the people who consult the log run.

use std::path::Path;
use std::process::{Command, Output};

use epost::config::{Consult, ConsultPerson, Role};
use epost::dev::pki::Extent;
use epost::dev::sandbox::CITIZEN;
use epost::dev::start::{self, LOOPBACK, Sandbox};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn two_people_consult_the_log_by_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = open(folder.path()).await;
    let alice = profile(&sandbox, "alice");
    let bob = profile(&sandbox, "bob");
    let asks = [
        "request",
        "--purpose",
        "complaint",
        "--reason",
        "case 17",
        "--recipient",
        CITIZEN,
        "--profile",
        &alice,
    ];
    let asked = done(&consult(&asks));
    assert_eq!((&asked[0]["consultation"], &asked[0]["state"]), (&1.into(), &"requested".into()));

    let denied = consult(&["approve", "1", "--profile", &alice]);
    let said = String::from_utf8_lossy(&denied.stderr).into_owned();
    assert_eq!(denied.status.code(), Some(1), "{said}");
    for line in [
        "refused  consult.approver-is-requester\n",
        "\nseen     alice asked",
        "\nexpected another",
        "\nremedy   ",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    done(&consult(&["approve", "1", "--note", "granted", "--profile", &bob]));
    let out = folder.path().join("records.jsonl");
    let out = out.to_str().unwrap();
    let taken = consult(&["run", "1", "--out", folder.path().to_str().unwrap(), "--profile", &alice]);
    assert_eq!(taken.status.code(), Some(3), "a run is not lost to a file that cannot be made");
    let ran = done(&consult(&["run", "1", "--out", out, "--profile", &alice]));
    assert_eq!(ran[0]["results"], 0);
    let written = std::fs::read_to_string(out).unwrap();
    assert_eq!(serde_json::from_str::<Value>(written.trim()).unwrap(), ran[0]);

    let again = consult(&["run", "1", "--json", "--profile", &alice]);
    let told: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(
        (again.status.code(), &told["error"]["code"]),
        (Some(1), &"consult.run-already".into()),
        "{told}"
    );
    done(&consult(&asks));
    done(&consult(&["refuse", "2", "--note", "no ground", "--profile", &bob]));
    let history = done(&consult(&["history", "--profile", &bob]));
    let states: Vec<_> = history.iter().map(|line| line["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["run", "refused"]);
    assert_eq!(done(&consult(&["history", "--state", "refused", "--profile", &bob])).len(), 1);
    sandbox.stop().await;
    let away = consult(&["history", "--profile", &bob]);
    assert_eq!(away.status.code(), Some(2), "{}", String::from_utf8_lossy(&away.stderr));
}

async fn open(folder: &Path) -> Sandbox {
    // The keys are needed before the configuration can name them.
    start::start(folder, LOOPBACK, Extent::Senders).await.unwrap().stop().await;
    let pki = folder.join("pki");
    let person = |name: &str| {
        let certificate = std::fs::read(pki.join(format!("{name}.crt"))).unwrap();
        let certificate = pki::certificate::Certificate::from_pem(&certificate).unwrap().remove(0);
        let fingerprint = erds::record::Hex32(certificate.fingerprint()).to_hex();
        let roles = vec![Role::Request, Role::Approve];
        ConsultPerson { name: name.to_owned(), certificates: vec![fingerprint], roles }
    };
    let setup = Consult {
        address: LOOPBACK,
        anchors: vec![pki.join("senders-root.crt")],
        intermediates: vec![pki.join("senders-ca.crt")],
        crls: vec![pki.join("crls")],
        validity_hours: 24,
        results_max: 100,
        person: vec![person("alice"), person("bob")],
    };
    start::start_tuned(folder, LOOPBACK, Extent::Senders, |config| config.consult = Some(setup))
        .await
        .unwrap()
}

/// Writes a person's profile; its path.
fn profile(sandbox: &Sandbox, name: &str) -> String {
    let address = sandbox.service.consult_address.unwrap();
    let text = format!(
        "endpoint = \"https://{address}\"\ntls_ca = \"pki/server-root.crt\"\ncert = \"pki/{name}.crt\"\nkey = \"pki/{name}.key\"\n"
    );
    let path = sandbox.layout.directory.join(format!("consult-{name}.toml"));
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn consult(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_epost")).arg("consult").args(args).output().unwrap()
}

#[track_caller]
fn done(output: &Output) -> Vec<Value> {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
