//! Another master key in the old one's place: everything is read by it, the act is on record, and the old one opens nothing any more.

use epost::backup::{check, take};
use epost::config::Config;
use epost::rotation::{Rotated, key_of, rotate};
use erds::{Record, Status};
use jiff::Timestamp;
use store::keys::master_key_id;

use crate::house::{Draft, Sandbox};

#[tokio::test(flavor = "multi_thread")]
async fn the_service_goes_on_under_another_master_key_and_the_journal_says_which() {
    let sandbox = Sandbox::start().await;
    let receipt = sandbox.ask(&Draft::submission("T")).await.receipt();
    sandbox.status(&receipt.ticket, Status::Sent).await;
    let mut config = Config::read(&sandbox.layout().config).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup");
    let of = |config: &Config| take(&sandbox.layout().config, config, None, &backup, Timestamp::now());
    let before = of(&config).unwrap().manifest;

    // A copy of all that a stopped service leaves: the sandbox itself goes on.
    let into = folder.path().join("copy");
    epost::backup::restore(&backup, &into, Timestamp::now()).await.unwrap();
    let old = std::fs::read(config.data.master_key.file()).unwrap();
    config.data.master_key = folder.path().join("master.key").into();
    std::fs::write(config.data.master_key.file(), &old).unwrap();
    let new = folder.path().join("new.key");
    std::fs::write(&new, [5; 32]).unwrap();
    let refused = rotate(&config, &new, Timestamp::now()).await.unwrap_err().to_string();
    assert!(refused.contains("journal.locked"), "a service runs on it: {refused}");
    config.data.directory = into.join("data");
    let under = config.data.directory.join("new.key");
    std::fs::write(&under, [5; 32]).unwrap();
    let refused = rotate(&config, &under, Timestamp::now()).await.unwrap_err().to_string();
    assert!(refused.contains("away from data.directory"), "{refused}");
    std::fs::remove_file(&under).unwrap();

    let (from, to) = (key_of(config.data.master_key.file()).unwrap(), key_of(&new).unwrap());
    let done = rotate(&config, &new, Timestamp::now()).await.unwrap();
    let retired = done.retired.clone().unwrap();
    let expected = Rotated {
        keys: done.keys,
        from: master_key_id(&from),
        to: master_key_id(&to),
        retired: Some(retired.clone()),
    };
    assert!(done == expected && done.keys > 1, "{done:?}");
    assert_eq!(std::fs::read(config.data.master_key.file()).unwrap(), [5; 32]);
    assert_eq!(std::fs::read(&retired).unwrap(), old);
    // Killed before the keys changed places: the same call goes on, and records nothing twice.
    std::fs::write(config.data.master_key.file(), &old).unwrap();
    assert_eq!(rotate(&config, &new, Timestamp::now()).await.unwrap(), expected);
    assert_eq!(rotate(&config, &new, Timestamp::now()).await.unwrap().retired, None);

    config.listen.operator_address = None;
    config.listen.address = "127.0.0.1:0".parse().unwrap();
    let again = epost::run::start(&config, None).await.unwrap();
    assert_eq!(again.service.stored_receipt(receipt.ticket).unwrap().xml, receipt.xml);
    let acts = again.service.journal().iter(0).filter_map(|stored| match stored.unwrap().record {
        Record::Control(act) if act.action == "keys.rotated" => Some(act.detail),
        _ => None,
    });
    let acts: Vec<String> = acts.collect();
    assert!(
        acts.len() == 1 && acts[0].contains(&expected.from) && acts[0].contains(&expected.to),
        "{acts:?}"
    );
    again.stop().await;

    // The backup of before names the key that opens it, one of now the other; by the retired one nothing starts.
    assert_eq!(check(&backup).unwrap().master_key.as_deref(), Some(expected.from.as_str()));
    let second = folder.path().join("second");
    let after = take(&sandbox.layout().config, &config, None, &second, Timestamp::now()).unwrap().manifest;
    assert_eq!((before.master_key, after.master_key), (Some(expected.from), Some(expected.to)));
    config.data.master_key = retired.into();
    let refused = epost::run::start(&config, None).await.err().unwrap().to_string();
    assert!(refused.contains("put that master key back"), "{refused}");
    assert!(take(&sandbox.layout().config, &config, None, &second, Timestamp::now()).is_err());
    sandbox.stop().await;
}
