//! `epost journal repair`: what a backup proves comes back, all else stays as it is and is told.

use std::path::{Path, PathBuf};

use epost::config::Config;
use epost::repair::{Asked, Cure, Found, RepairError, repair};
use erds::Record;
use jiff::Timestamp;

use crate::backup::Place;

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_journal_is_mended_out_of_the_backup_and_serves_again() {
    let place = Place::new().await;
    let ticket = place.send("A", 900).await;
    let stopped = Stopped::new(&place).await;
    let running = repair(&place.config, Asked { apply: true, ..Asked::default() }, Timestamp::now()).await;
    assert_eq!(running.unwrap_err().code(), "journal.locked", "a service runs on it");

    let segment = stopped.config.data.directory.join("journal/00000000000000000000.seg");
    let whole = std::fs::read(&segment).unwrap();
    flip(&segment, 300);
    let refused = match epost::run::start(&stopped.config, None).await {
        Err(error) => error.to_string(),
        Ok(_) => panic!("it starts on a damaged journal"),
    };
    assert!(refused.contains("journal.damaged") && refused.contains("epost journal repair"), "{refused}");

    let before = stopped.files();
    for (from, code) in [(None, Some("journal.repair.no-backup")), (Some(place.backup()), None)] {
        let found = stopped.ask(Asked { from, ..Asked::default() }).await.unwrap();
        assert_eq!(found.damages.len(), 1);
        assert_eq!(found.records.err().map(|why| why.code()), code);
        assert_eq!(stopped.files(), before, "a dry run changes no byte");
    }
    let applied = Asked { apply: true, ..Asked::default() };
    assert!(stopped.ask(applied).await.unwrap().replaced.is_empty());
    assert_eq!(stopped.files(), before, "without a backup nothing is changed");

    let applied = Asked { from: Some(place.backup()), ..applied };
    let mut kept = None;
    for time in 0..3 {
        let found = stopped.ask(applied).await.unwrap();
        assert!(found.is_curable());
        assert_eq!((found.damages.len(), found.replaced.len()), if time == 0 { (1, 1) } else { (0, 0) });
        kept = kept.or(found.replaced.into_iter().next());
    }
    let kept = kept.unwrap();
    let records = whole.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    assert!(std::fs::read(&segment).unwrap().starts_with(&whole[..records]), "and the act behind them");
    assert_ne!(std::fs::read(segment.with_file_name(&kept.kept_as)).unwrap(), whole, "the damaged one");
    let again = stopped.start().await;
    assert!(again.service.index().item(ticket).unwrap().is_some_and(|item| item.accepted.is_some()));
    assert_eq!(stopped.acts(&again, "journal.repaired").len(), 1, "once");
    assert!(stopped.acts(&again, "journal.repaired")[0].contains(&kept.kept_as));
    again.stop().await;
    place.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn content_comes_back_if_it_is_the_very_one_that_its_record_names() {
    let place = Place::new().await;
    let (ticket, other) = (place.send("A", 200_000).await, place.send("B", 200_000).await);
    let gone = place.send("C", 200_000).await;
    place.record_erasure(gone).await;
    let stopped = Stopped::new(&place).await;
    let part = |ticket: erds::Ticket| {
        let folder = stopped.config.data.directory.join("content").join(ticket.as_str());
        std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()
    };
    let (first, second) = (part(ticket), part(other));
    let whole = [std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap()];
    let all = Asked { from: Some(place.backup()), apply: true, content: true, checkpoints: &[] };
    assert!(stopped.ask(all).await.unwrap().content.unwrap().is_empty(), "what was erased is not missed");

    std::fs::remove_dir_all(first.parent().unwrap()).unwrap();
    flip(&second, 100_000);
    let before = stopped.files();
    let found = stopped.ask(Asked { apply: false, ..all }).await.unwrap();
    let absent = found.content.unwrap();
    assert_eq!(absent.len(), 2);
    assert!(absent.iter().all(|absent| absent.cure == Cure::FromBackup), "{absent:?}");
    assert_eq!(stopped.files(), before);
    let found = stopped.ask(Asked { from: None, ..all }).await.unwrap();
    assert!(!found.is_curable() && found.content.unwrap().len() == 2);

    // A file of the backup that is damaged too, or another part's, is not taken.
    let manifest = epost::backup::Manifest::read(place.backup()).unwrap();
    let name = format!("data/content/{}/{}", ticket.as_str(), first.file_name().unwrap().to_str().unwrap());
    let kept = place.backup().join("files").join(manifest.files[&name].sha256.to_hex());
    for spoilt in [whole[1].clone(), whole[0][..whole[0].len() - 1].to_vec()] {
        std::fs::write(&kept, spoilt).unwrap();
        let found = stopped.ask(Asked { apply: false, ..all }).await.unwrap();
        let cures: Vec<bool> =
            found.content.unwrap().iter().map(|absent| absent.cure == Cure::FromBackup).collect();
        assert_eq!(cures.iter().filter(|cure| **cure).count(), 1, "the other one's is whole");
    }
    let found = stopped.ask(all).await.unwrap();
    assert!(!found.is_curable() && !first.exists(), "told, and nothing put in its place");
    assert_eq!(std::fs::read(&second).unwrap(), whole[1]);

    std::fs::write(&kept, &whole[0]).unwrap();
    assert!(stopped.ask(all).await.unwrap().is_curable());
    assert_eq!(std::fs::read(&first).unwrap(), whole[0]);
    assert!(stopped.ask(all).await.unwrap().content.unwrap().is_empty());
    let again = stopped.start().await;
    assert_eq!(stopped.acts(&again, "content.repaired").len(), 2);
    again.stop().await;
    place.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_key_comes_back_and_a_destroyed_one_never() {
    let place = Place::new().await;
    let [flipped, renamed, zeroed] =
        [place.send("A", 200_000).await, place.send("B", 900).await, place.send("C", 900).await];
    let [erased, half] = [place.send("D", 200_000).await, place.send("E", 900).await];
    place.take().unwrap();
    for gone in [erased, half] {
        place.record_erasure(gone).await;
    }
    // What is stopped has the erasures on record and the keys destroyed; the backup is of before.
    let stopped = Stopped::of_now(&place, &place.folder.path().join("newer")).await;
    let file = stopped.config.data.directory.join("keys/items.keys");
    let whole = std::fs::read(&file).unwrap();
    let at = |ticket: erds::Ticket| {
        whole.windows(13).position(|window| window == ticket.as_str().as_bytes()).unwrap()
    };
    let mut spoilt = whole.clone();
    spoilt[at(flipped) + 40] ^= 1;
    spoilt[at(renamed) + 3] = if spoilt[at(renamed) + 3] == b'7' { b'8' } else { b'7' };
    for (ticket, bytes) in [(zeroed, 128), (erased, 128), (half, 60)] {
        spoilt[at(ticket)..at(ticket) + bytes].fill(0);
    }
    std::fs::write(&file, &spoilt).unwrap();
    let running = stopped.start().await;
    assert!(
        running.service.stored_receipt(flipped).is_err() && running.service.stored_receipt(zeroed).is_err()
    );
    running.stop().await;
    let spoilt = std::fs::read(&file).unwrap();

    let all = Asked { from: Some(place.backup()), apply: true, content: true, checkpoints: &[] };
    let tickets = |found: &Found| {
        let mut of: Vec<_> = found
            .keys
            .as_deref()
            .unwrap()
            .iter()
            .map(|key| (key.ticket, key.cure == Cure::FromBackup))
            .collect();
        of.sort();
        of
    };
    let mut expected: Vec<_> = [flipped, renamed, zeroed].map(|ticket| (Some(ticket), true)).to_vec();
    expected.sort();
    let found = stopped.ask(Asked { apply: false, ..all }).await.unwrap();
    assert_eq!(tickets(&found), expected, "and none that an erasure names");
    assert_eq!(found.content, Some(Vec::new()), "with its key it is whole");
    assert!(found.is_curable() && !found.is_whole());
    assert_eq!(std::fs::read(&file).unwrap(), spoilt, "a dry run changes no byte");
    let found = stopped.ask(Asked { from: None, ..all }).await.unwrap();
    assert!(!found.is_curable());
    assert_eq!(tickets(&found).len(), 2, "zeros may be a destroyed key: without a backup nobody can say");

    for time in 0..2 {
        let found = stopped.ask(all).await.unwrap();
        assert!(found.is_curable());
        assert_eq!(tickets(&found).len(), if time == 0 { 3 } else { 0 });
    }
    let mended = std::fs::read(&file).unwrap();
    for ticket in [flipped, renamed, zeroed] {
        assert_eq!(mended[at(ticket)..at(ticket) + 128], whole[at(ticket)..at(ticket) + 128]);
    }
    let again = stopped.start().await;
    for ticket in [flipped, renamed, zeroed] {
        again.service.stored_receipt(ticket).unwrap();
    }
    for ticket in [erased, half] {
        assert!(!again.service.keys().has(ticket).unwrap(), "what was destroyed stays destroyed");
    }
    assert_eq!(stopped.acts(&again, "keys.repaired").len(), 1);
    again.stop().await;
    place.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_header_of_the_key_file_comes_back_and_no_newer_key_is_lost() {
    let place = Place::new().await;
    place.send("A", 900).await;
    place.take().unwrap();
    let newer = place.send("B", 200_000).await;
    let stopped = Stopped::of_now(&place, &place.folder.path().join("newer")).await;
    let file = stopped.config.data.directory.join("keys/items.keys");
    flip(&file, 20);
    assert!(epost::run::start(&stopped.config, None).await.is_err());
    let all = Asked { from: Some(place.backup()), apply: true, content: true, checkpoints: &[] };
    let found = stopped.ask(all).await.unwrap();
    let keys = found.keys.as_deref().unwrap();
    assert_eq!((keys.len(), keys[0].offset, keys[0].ticket), (1, 0, None));
    let again = stopped.start().await;
    again.service.stored_receipt(newer).unwrap();
    again.stop().await;
    place.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_is_damaged_or_gone_comes_back_and_a_forked_one_never() {
    let place = Place::new().await;
    place.send("A", 900).await;
    let stopped = Stopped::new(&place).await;
    let tlog = stopped.config.data.directory.join("tlog");
    let checkpoint = tlog.join("checkpoint");
    let note = std::fs::read(&checkpoint).unwrap();
    std::fs::write(&checkpoint, &note[..note.len() / 2]).unwrap();
    let config = &stopped.config;
    let refused = epost::run::start(config, None).await.map(|_| ()).unwrap_err().to_string();
    assert!(
        refused.contains("tlog/checkpoint: journal.checkpoint.") && refused.contains("epost journal repair")
    );

    let before = stopped.files();
    let asked = Asked { apply: true, ..Asked::default() };
    let found = stopped.ask(asked).await.unwrap();
    assert_eq!(found.records.unwrap_err().code(), "journal.repair.no-checkpoint");
    let from = Asked { from: Some(place.backup()), ..asked };
    let forked = forked(config, place.folder.path());
    for (given, code) in [(&forked, "journal.repair.forked"), (&checkpoint, "journal.repair.given")] {
        let refused = stopped.ask(Asked { checkpoints: std::slice::from_ref(given), ..from }).await;
        let seen = refused.map_or_else(|error| error.code(), |found| found.records.unwrap_err().code());
        assert_eq!(seen, code);
    }
    let found = stopped.ask(Asked { apply: false, ..from }).await.unwrap();
    assert!(found.is_curable() && !found.is_whole());
    assert_eq!(stopped.files(), before, "nothing was changed by any of these");
    let backup = place.folder.path().join("another");
    let program = place.folder.path().join("epost");
    let taking = || {
        let path = &place.sandbox.layout().config;
        epost::backup::take(path, config, Some(&program), &backup, Timestamp::now()).map(|_| ())
    };
    assert!(taking().unwrap_err().code().starts_with("journal.checkpoint."), "no backup takes it over");

    for gone in [false, true] {
        if gone {
            std::fs::remove_file(&checkpoint).unwrap();
            assert_eq!(taking().unwrap_err().code(), "journal.checkpoint.missing");
            let refused = epost::run::start(config, None).await.map(|_| ()).unwrap_err().to_string();
            assert!(refused.starts_with("journal.checkpoint.missing"), "{refused}");
        }
        let lost = stopped.ask(from).await.unwrap().lost.unwrap();
        let kept = lost.kept_as.map(|kept| std::fs::read(tlog.join(kept)).unwrap());
        assert_eq!(kept.is_none(), gone);
        assert!(lost.newest.unwrap().source.starts_with("of the backup: data/tlog/"));
        assert_eq!(std::fs::read(&checkpoint).unwrap(), note);
        assert!(stopped.ask(asked).await.unwrap().is_whole());
    }
    let again = stopped.start().await;
    assert_eq!(stopped.acts(&again, "checkpoint.repaired").len(), 2);
    again.stop().await;
    taking().unwrap();
    place.sandbox.stop().await;
}

/// A checkpoint by the log's own key over records that the log does not have.
fn forked(config: &Config, folder: &Path) -> PathBuf {
    let pem = std::fs::read(config.data.log_key.as_ref().unwrap()).unwrap();
    let key = journal::checkpoint::LogKey::from_pem(&config.data.origin, &pem).unwrap();
    let disk: std::sync::Arc<dyn disk::Disk> = std::sync::Arc::new(disk::ForgetfulDisk::new());
    let options = journal::Options {
        origin: config.data.origin.clone(),
        segment_bytes_max: 1 << 20,
        on_fatal: std::sync::Arc::new(|_| ()),
    };
    let (journal, _) = journal::Journal::open(disk.clone(), Path::new("j"), options).unwrap();
    let record = Record::Control(erds::record::Control {
        at: Timestamp::now(),
        action: "another".to_owned(),
        ticket: None,
        detail: String::new(),
    });
    let entry = journal::Entry { record, frames: Vec::new(), unique_keys: Vec::new() };
    journal.append_blocking(entry).unwrap();
    let mut publisher = journal::tiles::Publisher::open(disk, Path::new("t"), key).unwrap();
    let path = folder.join("forked-checkpoint");
    std::fs::write(&path, publisher.publish(&journal).unwrap().unwrap().note()).unwrap();
    path
}

/// What a service left that was stopped, and a backup of it.
struct Stopped {
    config: Config,
    _folder: tempfile::TempDir,
}

impl Stopped {
    async fn new(place: &Place) -> Self {
        let checkpoint = place.config.data.directory.join("tlog/checkpoint");
        let size = || {
            let note = std::fs::read_to_string(&checkpoint).unwrap_or_default();
            note.lines().nth(1).and_then(|size| size.parse::<u64>().ok()).unwrap_or(0)
        };
        for _ in 0..6000 {
            if size() >= place.sandbox.service().journal().size() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        place.take().unwrap();
        Self::restored(place, place.backup()).await
    }

    /// As it is now, by way of another backup than the one that is at hand.
    async fn of_now(place: &Place, backup: &Path) -> Self {
        let path = &place.sandbox.layout().config;
        epost::backup::take(path, &place.config, None, backup, Timestamp::now()).unwrap();
        Self::restored(place, backup).await
    }

    async fn restored(place: &Place, backup: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("copy");
        epost::backup::restore(backup, &into, Timestamp::now()).await.unwrap();
        let mut config = place.config.clone();
        config.data.directory = into.join("data");
        config.listen.operator_address = None;
        config.listen.address = "127.0.0.1:0".parse().unwrap();
        Self { config, _folder: folder }
    }

    async fn ask(&self, asked: Asked<'_>) -> Result<Found, RepairError> {
        repair(&self.config, asked, Timestamp::now()).await
    }

    async fn start(&self) -> epost::run::Running {
        epost::run::start(&self.config, None).await.unwrap()
    }

    fn acts(&self, running: &epost::run::Running, action: &str) -> Vec<String> {
        let details = running.service.journal().iter(0).filter_map(|stored| match stored.unwrap().record {
            Record::Control(act) if act.action == action => Some(act.detail),
            _ => None,
        });
        details.collect()
    }

    /// Every file of the data folder, with its bytes.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let (mut found, mut folders) = (Vec::new(), vec![self.config.data.directory.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => found.push((path.clone(), std::fs::read(&path).unwrap())),
                }
            }
        }
        found.sort();
        found
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}
