//! A newest checkpoint that is damaged or gone: another takes its place if the journal leads to it, and to all else that was published.

use journal::checkpoint::Checkpoint;
use journal::repair::put_back;
use journal::tiles::TilesError;

use super::*;

const CHECKPOINT: &str = "t/checkpoint";

/// A log, and what it had signed at some sizes, the newest last.
fn signed_at(sizes: &[u32]) -> (Log, Vec<Checkpoint>) {
    let pem = Ed25519Key::random().unwrap().to_pem().unwrap().to_vec();
    let log = Log { disk: ForgetfulDisk::new(), backup: ForgetfulDisk::new(), pem };
    let signed = sizes.iter().map(|size| {
        log.append(*size);
        log.publish();
        log.published().unwrap().checkpoint().clone()
    });
    let signed = signed.collect();
    (log, signed)
}

impl Log {
    fn leads_to(&self, checkpoints: &[Checkpoint]) -> Result<(), Incurable> {
        let newest = checkpoints.iter().max_by_key(|checkpoint| checkpoint.size());
        let published = newest
            .map(|newest| Published::under(Arc::new(self.disk.clone()), Path::new(TLOG), newest.clone()));
        let dir = Path::new(DIR);
        let found =
            survey(Subject { disk: &self.disk, dir, origin: ORIGIN, published, backup: None }).unwrap();
        found.leads_to(checkpoints, Path::new(TLOG)).unwrap()
    }

    fn reopened(&self) -> Result<Option<Published>, TilesError> {
        let key = LogKey::from_pem(ORIGIN, &self.pem).unwrap();
        Published::open(Arc::new(self.disk.clone()), Path::new(TLOG), key.verifier())
    }

    /// Without the segments from this one on, and what is derived: by its bytes it is whole.
    fn cut_before(&self, segment: &Path) -> Self {
        let cut = self.twin();
        for (path, _) in segments(&cut.disk).iter().filter(|(path, _)| path >= segment) {
            cut.disk.remove(path).unwrap();
        }
        cut.remove_derived();
        cut
    }
}

#[test]
fn every_damage_of_the_checkpoint_is_refused_and_tells_what_to_do() {
    let (log, signed) = signed_at(&[5]);
    let note = read(&log.disk, Path::new(CHECKPOINT));
    assert_eq!(note, signed[0].note().as_bytes());
    let spoil = |bytes: Vec<u8>| {
        let spoilt = log.twin();
        let mut file = spoilt.disk.open(Path::new(CHECKPOINT), OpenMode::Write).unwrap();
        file.truncate(0).unwrap();
        file.write_at(0, &bytes).unwrap();
        let refused = spoilt.reopened().err().expect("refused").to_string();
        assert!(refused.contains("epost journal repair --from BACKUP"), "{refused}");
    };
    (0..note.len()).for_each(|end| spoil(note[..end].to_vec()));
    for at in 0..note.len() {
        let mut bytes = note.clone();
        bytes[at] ^= 1;
        spoil(bytes);
    }
    spoil(vec![0; note.len()]);
    let gone = log.twin();
    gone.disk.remove(Path::new(CHECKPOINT)).unwrap();
    let refused = gone.reopened().err().unwrap();
    assert_eq!(refused.code(), "journal.checkpoint.missing");
    assert!(refused.to_string().contains("epost journal repair --from BACKUP"), "{refused}");
}

/// A first publication that is cut short leaves nothing that looks like a loss.
#[test]
fn a_crash_in_the_first_publication_is_no_lost_checkpoint() {
    let key = |log: &Log| LogKey::from_pem(ORIGIN, &log.pem).unwrap();
    let (log, _) = signed_at(&[]);
    log.append(3);
    let publish = |log: &Log| {
        let publisher = Publisher::open(Arc::new(log.disk.clone()), Path::new(TLOG), key(log));
        publisher.unwrap().publish(&log.open()).map(drop)
    };
    let operations = {
        let log = log.twin();
        publish(&log).unwrap();
        log.disk.operations()
    };
    for operation in 1..=operations {
        for seed in 0..4 {
            let crashed = log.twin();
            crashed.disk.fail_at(operation, Fault::PowerCut);
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| publish(&crashed)));
            let found = Log { disk: crashed.disk.after_power_cut(seed), ..log.twin() };
            publish(&found).unwrap();
            assert_eq!(found.reopened().unwrap().unwrap().checkpoint().size(), 3, "{operation} {seed}");
        }
    }
}

#[test]
fn an_older_checkpoint_is_put_back_if_all_that_was_published_is_there() {
    let (log, signed) = signed_at(&[3, 8, 20, 300]);
    log.append(310);
    let (newest, older) = signed.split_last().unwrap();
    log.leads_to(&signed).unwrap();
    for at_hand in [&older[..1], older, &older[2..]] {
        log.leads_to(at_hand).unwrap();
    }
    assert_eq!(log.leads_to(&[]).unwrap_err().code(), "journal.repair.no-checkpoint");

    let lost = log.twin();
    lost.disk.open(Path::new(CHECKPOINT), OpenMode::Write).unwrap().truncate(20).unwrap();
    let kept_as = put_back(&lost.disk, Path::new(TLOG), &older[2]).unwrap().unwrap();
    assert_eq!(read(&lost.disk, &Path::new(TLOG).join(kept_as)), newest.note().as_bytes()[..20]);
    assert_eq!(lost.reopened().unwrap().unwrap().checkpoint(), &older[2]);
    lost.publish();
    let now = lost.reopened().unwrap().unwrap();
    assert_eq!(now.checkpoint().size(), 310);
    for old in &signed {
        let proof = now.consistency(old.size()).unwrap();
        let root = now.checkpoint().root();
        assert!(journal::merkle::verify_consistency((old.size(), &old.root()), (310, &root), &proof));
    }
    lost.disk.remove(Path::new(CHECKPOINT)).unwrap();
    assert_eq!(put_back(&lost.disk, Path::new(TLOG), newest).unwrap(), None, "nothing to keep");
}

#[test]
fn a_forked_checkpoint_is_never_put_back() {
    let (log, signed) = signed_at(&[3, 8, 20]);
    let forged = Log { disk: ForgetfulDisk::new(), backup: ForgetfulDisk::new(), pem: log.pem.clone() };
    forged.append(9);
    forged.publish();
    let forked = forged.published().unwrap().checkpoint().clone();
    for at_hand in
        [vec![forked.clone()], vec![signed[0].clone(), forked.clone()], [&signed[..], &[forked]].concat()]
    {
        let refused = log.leads_to(&at_hand).unwrap_err();
        assert!(matches!(refused, Incurable::Forked { signed: 9, .. }), "{refused}");
    }
}

/// The tiles tell what the lost checkpoint signed: a journal that was cut, or goes on otherwise, is not signed in its place.
#[test]
fn a_journal_that_lacks_what_was_published_is_not_signed_again() {
    let (log, signed) = signed_at(&[3, 8, 20]);
    let later = |(path, _): &(PathBuf, Vec<u8>)| path.as_path() > Path::new("j/00000000000000000008.seg");
    let cuts: Vec<_> = segments(&log.disk).into_iter().filter(later).collect();
    assert!(cuts.len() > 1);
    for (segment, _) in cuts {
        let cut = log.cut_before(&segment);
        let refused = cut.leads_to(&signed[..2]).unwrap_err();
        assert!(matches!(refused, Incurable::Published { position: 20, .. }), "{refused}");
        // By what the newest one signs, it is told for what it is.
        assert_eq!(cut.leads_to(&signed).unwrap_err().code(), "journal.repair.forked");
        cut.append(25);
        let refused = cut.leads_to(&signed[..2]).unwrap_err();
        assert!(matches!(refused, Incurable::Published { position: 20, .. }), "gone on otherwise: {refused}");
    }
    let spoilt = log.twin();
    spoilt.disk.flip(Path::new("t/tile/0/000.p/20"), 600);
    assert_eq!(spoilt.leads_to(&signed[..2]).unwrap_err().code(), "journal.repair.published");
    spoilt.leads_to(&signed).unwrap();
}
