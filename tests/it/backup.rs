//! A backup beside a service that runs, and what comes back from it on an empty machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use disk::{Disk, Fault, ForgetfulDisk};
use epost::backup::{BackupError, Folder, Manifest, check, restore, take};
use epost::config::Config;
use erds::{Record, Status};
use jiff::Timestamp;
use store::index::Index;

use crate::house::draft::submission;
use crate::house::{Draft, Sandbox, file};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_backed_up_comes_back_whole_and_serves_again() {
    let place = Place::new().await;
    place.send("A", 900).await;
    place.send("B", 200_000).await; // a part that lies in a file of its own
    let first = place.take().unwrap();
    assert!(first.written_bytes > 200_000 && first.absent == 0, "{first:?}");
    assert!(first.manifest.files.keys().any(|name| name.starts_with("data/content/")), "{first:?}");
    let nothing_new = place.take().unwrap();
    let grown: u64 = changed(&first.manifest, &nothing_new.manifest);
    assert_eq!(nothing_new.written_bytes, grown, "only what changed is written");
    assert!(grown < 200_000, "content is not written again: {grown}");

    let ticket = place.send("C", 900).await;
    let second = place.take().unwrap().manifest;
    assert!(second.records > first.manifest.records);
    assert_eq!(check(place.backup()).unwrap(), second);
    let named = second.files.values().map(|kept| kept.sha256).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(std::fs::read_dir(place.backup().join("files")).unwrap().count(), named.len(), "one state");
    for secret in [std::fs::read(place.config.data.master_key.file()), std::fs::read(place.seal_key())] {
        let secret = secret.unwrap();
        for kept in files(&place.backup().join("files")) {
            assert!(!std::fs::read(&kept).unwrap().windows(secret.len()).any(|bytes| bytes == secret));
        }
    }

    let into = place.folder.path().join("again");
    let restored = restore(place.backup(), &into, Timestamp::now()).await.unwrap();
    assert_eq!(restored.rebuilt.records, second.records + 1);
    let mut config = place.config.clone();
    config.data.directory = into.join("data");
    let index = Index::open(Some(&into.join("data/index.sqlite"))).unwrap();
    assert!(index.item(ticket).unwrap().is_some_and(|item| item.accepted.is_some()));
    drop(index);
    assert_eq!(
        std::fs::read(into.join("config/epost.toml")).unwrap(),
        std::fs::read(&place.sandbox.layout().config).unwrap()
    );

    let ran = std::process::Command::new(into.join("binary/epost")).output().unwrap();
    assert_eq!(ran.stdout, b"restored\n", "the program came out of it, and runs");
    let master = epost::rotation::key_of(config.data.master_key.file()).unwrap();
    assert_eq!(second.master_key, Some(store::keys::master_key_id(&master)));
    config.listen.operator_address = None;
    config.listen.address = "127.0.0.1:0".parse().unwrap();
    let again = epost::run::start(&config, None).await.unwrap();
    let item = again.service.index().item(ticket).unwrap().unwrap();
    assert_eq!(again.service.stored_submission(&item).unwrap().token.as_str(), "C", "its key opens it");
    let acts: Vec<_> = again
        .service
        .journal()
        .iter(second.records)
        .filter_map(|stored| match stored.unwrap().record {
            Record::Control(act) => Some((act.action, act.detail)),
            _ => None,
        })
        .collect();
    let [(restored, of), (start, by)] = &acts[..] else { panic!("{acts:?}") };
    assert_eq!((restored.as_str(), start.as_str()), ("service.restored", "service.start"));
    assert!(of.contains(&second.made_at.to_string()), "{of}");
    let text = std::fs::read(&place.sandbox.layout().config).unwrap();
    let digest = erds::record::Hex32(pki::digest::sha256(&text)).to_hex();
    let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let program = erds::record::Hex32(pki::digest::sha256(&program)).to_hex();
    for what in [env!("CARGO_PKG_VERSION"), &digest, &program] {
        assert!(by.contains(what), "{by}");
    }
    again.stop().await;
    place.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_is_found_wherever_it_is_and_mended_by_the_next_run() {
    let place = Place::new().await;
    place.send("A", 200_000).await;
    let manifest = place.take().unwrap().manifest;
    for name in ["data/journal/", "data/content/", "data/keys/", "config/epost.toml"] {
        let (name, kept) = manifest.files.iter().find(|(kept, _)| kept.starts_with(name)).unwrap();
        let path = place.backup().join("files").join(kept.sha256.to_hex());
        let whole = std::fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        bytes[whole.len() / 2] ^= 1;
        for spoilt in [bytes, whole[1..].to_vec()] {
            std::fs::write(&path, spoilt).unwrap();
            let BackupError::Damaged { name: found, .. } = check(place.backup()).unwrap_err() else {
                panic!()
            };
            assert_eq!(&found, name);
            let into = place.folder.path().join("spoilt");
            let error = restore(place.backup(), &into, Timestamp::now()).await.unwrap_err();
            assert_eq!(error.code(), "backup.damaged");
            assert!(!into.join("data").exists(), "nothing that a service could start on");
            std::fs::remove_dir_all(&into).unwrap();
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(check(place.backup()).unwrap_err().code(), "backup.damaged");
        std::fs::write(&path, &whole[1..]).unwrap();
        place.take().unwrap();
        check(place.backup()).unwrap();
        std::fs::write(&path, &whole).unwrap();
    }
    place.sandbox.stop().await;
}

/// A timer runs the next backup before anybody has looked.
#[tokio::test(flavor = "multi_thread")]
async fn what_rots_takes_the_place_of_nothing_that_is_whole() {
    let place = Place::new().await;
    let ticket = place.send("A", 200_000).await;
    let first = place.take().unwrap();
    assert_eq!((first.absent, first.damaged, first.held), (0, 0, 0));
    let of_item = format!("data/content/{}/", ticket.as_str());
    let name = first.manifest.files.keys().find(|name| name.starts_with(&of_item)).unwrap().clone();
    let whole = first.manifest.files[&name];
    let path = place.config.data.directory.join(name.strip_prefix("data/").unwrap());
    let bytes = std::fs::read(&path).unwrap();
    let mut rotten = bytes.clone();
    rotten[100_000] ^= 1;
    std::fs::write(&path, &rotten).unwrap();
    for _ in 0..2 {
        let taken = place.take().unwrap();
        assert_eq!((taken.absent, taken.damaged, taken.held), (0, 1, 1), "told each time");
        assert_eq!(taken.manifest.files[&name], whole);
    }
    std::fs::remove_file(&path).unwrap();
    let taken = place.take().unwrap();
    assert_eq!((taken.absent, taken.damaged, taken.held), (1, 0, 1));
    assert_eq!(taken.manifest.files[&name], whole);
    check(place.backup()).unwrap();
    let into = place.folder.path().join("again");
    restore(place.backup(), &into, Timestamp::now()).await.unwrap();
    assert_eq!(std::fs::read(into.join(&name)).unwrap(), bytes);

    // What no backup has whole is kept as it is, until somebody brings it back.
    let kept = place.backup().join("files").join(whole.sha256.to_hex());
    std::fs::write(&kept, &rotten).unwrap();
    let taken = place.take().unwrap();
    assert_eq!((taken.absent, taken.held, taken.manifest.files.get(&name)), (1, 0, None));
    std::fs::write(&path, &rotten).unwrap();
    assert_ne!(place.take().unwrap().manifest.files[&name], whole);
    rotten[100_001] ^= 1;
    std::fs::write(&path, &rotten).unwrap();
    let taken = place.take().unwrap();
    assert_eq!((taken.damaged, taken.held), (1, 0));
    std::fs::write(&path, &bytes).unwrap();
    let taken = place.take().unwrap();
    assert_eq!((taken.absent, taken.damaged, taken.held), (0, 0, 0));
    assert_eq!(taken.manifest.files[&name], whole);
    check(place.backup()).unwrap();
    place.sandbox.stop().await;
}

/// Lawfully erased: the next run's key file lacks the key, whatever ciphertext was copied before.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_erased_is_in_no_backup_from_the_next_run_on() {
    let place = Place::new().await;
    let (gone, kept) = (place.send("A", 200_000).await, place.send("B", 200_000).await);
    let first = place.take().unwrap().manifest;
    let of = |manifest: &Manifest, ticket: erds::Ticket| {
        let folder = format!("data/content/{}/", ticket.as_str());
        manifest.files.keys().filter(|name| name.starts_with(&folder)).count()
    };
    assert_eq!((of(&first, gone), of(&first, kept)), (1, 1));
    let service = place.sandbox.service();
    place.record_erasure(gone).await;
    service.keys().destroy(gone).await.unwrap();
    let second = place.take().unwrap();
    assert_eq!((of(&second.manifest, gone), of(&second.manifest, kept), second.absent), (0, 1, 0));
    let into = place.folder.path().join("again");
    restore(place.backup(), &into, Timestamp::now()).await.unwrap();
    let master = std::fs::read(place.config.data.master_key.file()).unwrap();
    let master = pki::aead::Key256::new(master.try_into().unwrap());
    let keys = store::keys::KeyReader::open(&disk::RealDisk, &into.join("data/keys"), master).unwrap();
    assert!(keys.open_key(gone).unwrap().is_none() && keys.open_key(kept).unwrap().is_some());
    let index = Index::open(Some(&into.join("data/index.sqlite"))).unwrap();
    assert!(index.item(gone).unwrap().unwrap().erased.is_some(), "the index made anew says so");
    place.sandbox.stop().await;
}

/// Each run replaces the key file, but not a whole slot by one that has rotted since.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_rots_stays_in_the_backup_and_a_destroyed_one_does_not() {
    let place = Place::new().await;
    let [flipped, zeroed, gone] =
        [place.send("A", 900).await, place.send("B", 900).await, place.send("C", 900).await];
    let first = place.take().unwrap();
    assert_eq!((first.keys_damaged, first.keys_held), (0, 0));
    let newer = place.send("D", 900).await;
    place.record_erasure(gone).await;
    place.sandbox.service().keys().destroy(gone).await.unwrap();
    let file = place.config.data.directory.join("keys/items.keys");
    let mut spoilt = std::fs::read(&file).unwrap();
    let at = |bytes: &[u8], ticket: erds::Ticket| {
        bytes.windows(13).position(|window| window == ticket.as_str().as_bytes()).unwrap()
    };
    let (of_flipped, of_zeroed, of_newer) = (at(&spoilt, flipped), at(&spoilt, zeroed), at(&spoilt, newer));
    spoilt[of_flipped + 40] ^= 1;
    spoilt[of_zeroed..of_zeroed + 128].fill(0);
    let whole_of_newer = spoilt[of_newer..of_newer + 128].to_vec();
    spoilt[of_newer + 50] ^= 1;
    std::fs::write(&file, &spoilt).unwrap();

    let master = std::fs::read(place.config.data.master_key.file()).unwrap();
    for (round, expected) in [(3, 2), (2, 2)].into_iter().enumerate() {
        let taken = place.take().unwrap();
        assert_eq!((taken.keys_damaged, taken.keys_held), expected, "{round}");
        let into = place.folder.path().join(format!("again-{round}"));
        restore(place.backup(), &into, Timestamp::now()).await.unwrap();
        let master = pki::aead::Key256::new(master.clone().try_into().unwrap());
        let keys = store::keys::KeyReader::open(&disk::RealDisk, &into.join("data/keys"), master).unwrap();
        assert!(keys.open_key(flipped).unwrap().is_some() && keys.open_key(zeroed).unwrap().is_some());
        assert!(keys.open_key(gone).unwrap().is_none(), "destroyed keys leave the backup");
        assert_eq!(keys.open_key(newer).is_ok(), round == 1, "of no backup before");
        // Somebody brings it back meanwhile.
        spoilt[of_newer..of_newer + 128].copy_from_slice(&whole_of_newer);
        std::fs::write(&file, &spoilt).unwrap();
    }
    assert_eq!(std::fs::read(&file).unwrap(), spoilt, "a backup mends nothing");
    place.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_every_backup_is_whole() {
    let place = Place::new().await;
    let mut former = 0;
    for round in 0..4 {
        let load = async {
            for number in 0..6 {
                place.sandbox.ask(&Draft::submission(&format!("{round}-{number}"))).await.receipt();
            }
        };
        let (config_path, config) = (place.sandbox.layout().config.clone(), place.config.clone());
        let dir = place.backup().to_owned();
        let copying = tokio::task::spawn_blocking(move || {
            let take = |_| take(&config_path, &config, None, &dir, Timestamp::now()).unwrap().manifest;
            (0..5).map(take).collect::<Vec<_>>().pop()
        });
        let ((), manifest) = tokio::join!(load, copying);
        let manifest = manifest.unwrap().unwrap();
        assert!(manifest.records > former, "{round}");
        former = manifest.records;
        assert_eq!(check(place.backup()).unwrap(), manifest);
        let into = place.folder.path().join(format!("round-{round}"));
        restore(place.backup(), &into, Timestamp::now()).await.unwrap();
    }
    place.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_holds_something_is_refused() {
    let place = Place::new().await;
    std::fs::create_dir_all(place.backup()).unwrap();
    std::fs::write(place.backup().join("letter.txt"), "mine").unwrap();
    assert_eq!(place.take().unwrap_err().code(), "backup.not-empty");
    std::fs::remove_file(place.backup().join("letter.txt")).unwrap();
    assert_eq!(check(place.backup()).unwrap_err().code(), "backup.manifest");
    place.take().unwrap();
    let data = &place.config.data.directory;
    let error = restore(place.backup(), data, Timestamp::now()).await.unwrap_err();
    assert_eq!(error.code(), "backup.not-empty");

    let path = place.backup().join("manifest.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let out = text.replace("config/epost.toml", "config/../../epost.toml");
    assert_ne!(text, out);
    std::fs::write(&path, out).unwrap();
    let into = place.folder.path().join("outside");
    let error = restore(place.backup(), &into, Timestamp::now()).await.unwrap_err();
    assert_eq!(error.code(), "backup.manifest");
    assert!(!into.exists());
    place.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_that_was_killed_leaves_does_no_harm() {
    let place = Place::new().await;
    let former = place.take().unwrap().manifest;
    place.send("A", 200_000).await;
    let left = ["files/part".to_owned(), format!("files/{:064}", 0), "manifest.json.new".to_owned()];
    for name in &left {
        std::fs::write(place.backup().join(name), "half of somethi").unwrap();
    }
    assert_eq!(check(place.backup()).unwrap(), former, "the former state is whole");
    assert!(place.take().unwrap().manifest.records > former.records);
    assert!(left.iter().all(|name| !place.backup().join(name).exists()));
    // A folder that cannot be written to, as a full disk: the state of before stays.
    let state = check(place.backup()).unwrap();
    std::fs::create_dir(place.backup().join("files/part")).unwrap();
    place.send("B", 900).await;
    assert_eq!(place.take().unwrap_err().code(), "backup.disk");
    assert_eq!(check(place.backup()).unwrap(), state);
    place.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_write_of_a_backup_fails_and_a_whole_state_is_there() {
    let place = Place::new().await;
    place.send("A", 200_000).await;
    let dir = Path::new("backup");
    let onto = |disk: &ForgetfulDisk| {
        let path = &place.sandbox.layout().config;
        take(path, &place.config, None, Folder::on(disk, dir), Timestamp::now()).map(|taken| taken.manifest)
    };
    let first = ForgetfulDisk::new();
    let former = onto(&first).unwrap();
    place.send("B", 200_000).await;
    let whole = first.after_power_cut(0);
    assert_eq!(check(Folder::on(&whole, dir)).unwrap(), former, "durable, once it is told");
    let mut cases = 0;
    for fault in [Fault::NotPersisted, Fault::PersistedButReportedFailed, Fault::PowerCut] {
        // As many as the service's files need by now: it goes on publishing meanwhile.
        for number in 1.. {
            let disk = first.after_power_cut(0);
            disk.fail_at(number, fault);
            let taken = onto(&disk);
            if disk.operations() < number {
                assert!(taken.unwrap().records > former.records && number > 20, "{number}");
                break;
            }
            for seed in [0, number, number + 1000] {
                let what = format!("{fault:?} at {number}, seed {seed}: {taken:?}");
                let found = disk.after_power_cut(seed);
                let state = check(Folder::on(&found, dir)).unwrap_or_else(|error| panic!("{what}: {error}"));
                assert!(state.records > former.records || (state == former && taken.is_err()), "{what}");
                cases += 1;
            }
            let again = disk.after_power_cut(number);
            let next = onto(&again).unwrap();
            assert_eq!(
                check(Folder::on(&again.after_power_cut(0), dir)).unwrap(),
                next,
                "the next run mends it"
            );
        }
    }
    println!("{cases} cases: each operation of a backup fails in three ways, three worlds each");
    place.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_the_former_state_stays_and_the_next_run_with_room_goes_on() {
    let place = Place::new().await;
    place.send("A", 200_000).await;
    let (disk, dir) = (ForgetfulDisk::new(), Path::new("backup"));
    let onto = || {
        let path = &place.sandbox.layout().config;
        take(path, &place.config, None, Folder::on(&disk, dir), Timestamp::now()).map(|taken| taken.manifest)
    };
    let former = onto().unwrap();
    place.send("B", 200_000).await;
    for room in [0, 1000, 150_000] {
        disk.set_capacity_bytes(u64::MAX);
        let free = disk.free_bytes(dir).unwrap();
        disk.set_capacity_bytes(u64::MAX - free + room);
        let refused = onto().unwrap_err();
        assert!(refused.code() == "backup.disk" && refused.to_string().contains("/part: "), "{refused}");
        assert_eq!(check(Folder::on(&disk, dir)).unwrap(), former);
        let part = Path::new("backup/files/part").to_owned();
        assert!(!disk.list(&dir.join("files")).unwrap().contains(&part), "half a file takes no room");
    }
    disk.set_capacity_bytes(u64::MAX);
    let now = onto().unwrap();
    assert!(now.records > former.records);
    assert_eq!(check(Folder::on(&disk, dir)).unwrap(), now);
    place.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_private_key_comes_into_a_backup() {
    let place = Place::new().await;
    place.take().unwrap();
    let mut config = place.config.clone();
    config.senders.certificates = vec![place.seal_key()];
    let taken = |config: &Config| {
        let path = &place.sandbox.layout().config;
        take(path, config, None, place.backup(), Timestamp::now()).unwrap_err().code()
    };
    assert_eq!(taken(&config), "backup.secret");
    let mut config = place.config.clone();
    config.data.master_key = config.data.directory.join("crls/master.key").into();
    std::fs::write(config.data.master_key.file(), [1; 32]).unwrap();
    assert_eq!(taken(&config), "backup.secret");
    check(place.backup()).unwrap();
    place.sandbox.stop().await;
}

/// What stands for the program here: the tests' own is large.
const PROGRAM: &str = "#!/bin/sh\necho restored\n";

/// A service that runs, and a folder for its backup.
pub(crate) struct Place {
    pub(crate) sandbox: Sandbox,
    pub(crate) config: Config,
    pub(crate) folder: tempfile::TempDir,
    backup: PathBuf,
}

impl Place {
    /// The file of the seal's key.
    fn seal_key(&self) -> PathBuf {
        self.sandbox.layout().pki.directory().join("seal.key")
    }

    pub(crate) async fn new() -> Self {
        let sandbox = Sandbox::start().await;
        let config = Config::read(&sandbox.layout().config).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let backup = folder.path().join("backup");
        Self { sandbox, config, folder, backup }
    }

    pub(crate) fn backup(&self) -> &Path {
        &self.backup
    }

    pub(crate) fn take(&self) -> Result<epost::backup::Taken, BackupError> {
        let binary = self.folder.path().join("epost");
        std::fs::write(&binary, PROGRAM).unwrap();
        take(&self.sandbox.layout().config, &self.config, Some(&binary), &self.backup, Timestamp::now())
    }

    /// That the item was lawfully erased; its key is still there.
    pub(crate) async fn record_erasure(&self, gone: erds::Ticket) {
        let now = Timestamp::now();
        let record = Record::Erased(erds::record::Erased {
            at: now,
            act: 1,
            by: None,
            of: "item".to_owned(),
            class: "content".to_owned(),
            term_days: 1,
            ended_by: now,
            tickets: vec![gone],
        });
        let entry = journal::Entry { record, frames: Vec::new(), unique_keys: Vec::new() };
        self.sandbox.service().append(entry).await.unwrap();
    }

    pub(crate) async fn send(&self, token: &str, bytes: usize) -> erds::Ticket {
        let files = [file(1, bytes)];
        let ticket = self.sandbox.ask(&Draft::of(&submission(token, &files), &files)).await.receipt().ticket;
        self.sandbox.status(&ticket, Status::Sent).await;
        ticket
    }
}

/// Bytes of the files that are new or other in `after`.
fn changed(before: &Manifest, after: &Manifest) -> u64 {
    let before: BTreeMap<_, _> = before.files.values().map(|kept| (kept.sha256, kept.bytes)).collect();
    let after: BTreeMap<_, _> = after.files.values().map(|kept| (kept.sha256, kept.bytes)).collect();
    after.iter().filter(|(digest, _)| !before.contains_key(digest)).map(|(_, bytes)| bytes).sum()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}
