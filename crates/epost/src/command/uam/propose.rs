//! `epost uam add|change|succeed|mandate|review|end|approve|withdraw`: one person writes and signs the next version, another signs it and puts it in place.
//!
//! Nothing is in force before both have signed: the proposal is a file of its own, and one rename makes it the policy. The service
//! judges what it finds there by itself, and journals it before it decides by it.

use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use pki::signer::{FileSigner, Signer};
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};
use uam::{Difference, PolicyFile};

use crate::access::{self, SignedBy, Signers, Withdrawal};
use crate::config::Config;
use crate::trust;

type Failed = Box<dyn std::error::Error>;

/// Who acts, and on which policy.
#[derive(clap::Args)]
pub struct Actor {
    /// The service's configuration: its policy file, and who may sign one.
    #[arg(long)]
    config: PathBuf,
    /// Your personal certificate, PEM, with its intermediates if it has any.
    #[arg(long)]
    certificate: PathBuf,
    /// Its private key, PEM.
    #[arg(long)]
    key: PathBuf,
}

/// A change of the policy.
pub(super) enum Change<'a> {
    /// New entries: the tables of a file.
    Add(&'a Path),
    /// A merger.
    Succeed(&'a super::NewSuccession),
    /// One institution for another.
    Mandate(&'a super::NewMandate),
    /// Other texts for entries of the same id.
    Replace(&'a Path),
    /// The grant is still needed, says its manager.
    Review(&'a str),
    /// The entry's last day.
    End(&'a str, Option<Date>),
}

/// Writes the next version beside the policy, signed by the proposer.
pub(super) fn propose(actor: &Actor, change: &Change<'_>, now: Timestamp) -> Result<(), Failed> {
    let config = Config::read(&actor.config)?;
    let current = access::read(&config.uam.policy)?;
    let beside = proposal(&config);
    if beside.exists() {
        let beside = beside.display();
        return Err(format!(
            "uam.proposal.waits: {beside}: have it approved (`epost uam approve`), or withdraw it (`epost uam withdraw`)"
        )
        .into());
    }
    let text = changed(&current, change, crate::service::today(now))?;
    let signed = sign(actor, &text)?;
    let next = PolicyFile::parse(&signed).map_err(|error| format!("{}: {error}", error.code()))?;
    let difference = next.difference(&current);
    if difference == Difference::default() {
        return Err("uam.change.none: the policy says that already".into());
    }
    if let Some(signers) = signers(&config)? {
        signers.signatures(&next, Some(now)).map_err(|error| format!("{}: {error}", error.code()))?;
    }
    replace(&beside, &signed)?;
    tell(&difference, &next, &current);
    println!(
        "proposed {}\nnext     another person: epost uam approve --config {} --certificate CERT --key KEY",
        beside.display(),
        actor.config.display()
    );
    Ok(())
}

/// Adds another person's signature to the proposal, and puts it in place.
pub(super) fn approve(actor: &Actor, now: Timestamp) -> Result<(), Failed> {
    let config = Config::read(&actor.config)?;
    let current = access::read(&config.uam.policy)?;
    let beside = proposal(&config);
    let (file, proposed) = waiting(&beside)?;
    if proposed.version() <= current.version() {
        let (seen, last) = (proposed.version(), current.version());
        return Err(format!("policy.version: version {seen} is not above {last}, which is in place; withdraw {} (`epost uam withdraw`) and propose again", beside.display()).into());
    }
    if proposed.signatures().is_empty() {
        return Err(
            format!("policy.signers.too-few: {} is not signed by who proposes it", beside.display()).into()
        );
    }
    let signed = sign(actor, &file)?;
    let approved = PolicyFile::parse(&signed).map_err(|error| format!("{}: {error}", error.code()))?;
    match signers(&config)? {
        Some(signers) => {
            let by =
                signers.judge(&approved, Some(now)).map_err(|error| format!("{}: {error}", error.code()))?;
            tell(&approved.difference(&current), &approved, &current);
            println!(
                "signed   by {}",
                by.iter().map(|SignedBy { name, .. }| name.as_str()).collect::<Vec<_>>().join(", ")
            );
        }
        // Nobody is listed: two certificates at least are two.
        None => {
            let first = pki::detached::verify(
                proposed.signatures().first().ok_or("no signature")?,
                proposed.text().as_bytes(),
            )
            .map_err(|error| format!("{}: {error}", error.code()))?;
            if first.certificate().fingerprint() == signer(actor)?.certificate().fingerprint() {
                return Err(
                    "policy.signers.too-few: who proposes does not approve; have another person do it".into(),
                );
            }
            tell(&approved.difference(&current), &approved, &current);
        }
    }
    replace(&beside, &signed)?;
    std::fs::rename(&beside, &config.uam.policy)?;
    sync_folder(&config.uam.policy)?;
    println!(
        "in place {}\nnext     the service takes it within {} s (uam.reload_seconds), or at SIGHUP; its journal has it as uam.policy",
        config.uam.policy.display(),
        config.uam.reload_seconds
    );
    Ok(())
}

/// Takes the proposal away, and leaves the actor's word for it where the service journals it.
pub(super) fn withdraw(actor: &Actor, now: Timestamp) -> Result<(), Failed> {
    let config = Config::read(&actor.config)?;
    let beside = proposal(&config);
    let (file, proposed) = waiting(&beside)?;
    let statement = Withdrawal::statement(&proposed);
    let signature = signer(actor)?.sign_detached(statement.as_bytes())?;
    if let Some(signers) = signers(&config)? {
        signers
            .signature(1, &signature, statement.as_bytes(), Some(now))
            .map_err(|error| format!("{}: {error}", error.code()))?;
    }
    replace(&Withdrawal::path(&config.uam.policy), &Withdrawal::new(&file, &signature).to_file()?)?;
    std::fs::remove_file(&beside)?;
    sync_folder(&beside)?;
    println!(
        "withdrawn version {} sha256 {}\nnext      the service journals it within {} s (uam.reload_seconds), or at SIGHUP, as uam.withdrawn",
        proposed.version(),
        erds::record::Hex32(proposed.digest()).to_hex(),
        config.uam.reload_seconds
    );
    Ok(())
}

fn waiting(beside: &Path) -> Result<(String, PolicyFile), Failed> {
    let file = std::fs::read_to_string(beside).map_err(|error| {
        format!("uam.proposal.none: {}: {error}; `epost uam add` and the like write one", beside.display())
    })?;
    let proposed = PolicyFile::parse(&file).map_err(|error| format!("{}: {error}", error.code()))?;
    Ok((file, proposed))
}

/// Where the next version waits for its second signature.
pub(super) fn proposal(config: &Config) -> PathBuf {
    config.uam.policy.with_added_extension("proposed")
}

fn signers(config: &Config) -> Result<Option<Signers>, Failed> {
    Ok(config.uam.signers.as_ref().map(Signers::read).transpose()?)
}

fn signer(actor: &Actor) -> Result<FileSigner, Failed> {
    Ok(FileSigner::from_pem(
        &zeroize::Zeroizing::new(trust::read(&actor.key)?),
        &trust::read(&actor.certificate)?,
    )?)
}

/// The file with the actor's signature over its text, behind those that are there.
fn sign(actor: &Actor, file: &str) -> Result<String, Failed> {
    let text = PolicyFile::parse(file).map_err(|error| format!("{}: {error}", error.code()))?;
    Ok(uam::with_signature(file, &signer(actor)?.sign_detached(text.text().as_bytes())?))
}

fn tell(difference: &Difference, next: &PolicyFile, current: &PolicyFile) {
    let digest = |policy: &PolicyFile| erds::record::Hex32(policy.digest()).to_hex();
    println!("from     version {} sha256 {}", current.version(), digest(current));
    println!("to       version {} sha256 {}", next.version(), digest(next));
    for (what, names) in
        [("adds", &difference.added), ("changes", &difference.changed), ("removes", &difference.removed)]
    {
        names.iter().for_each(|name| println!("{what:<8} {name}"));
    }
    if difference.zones {
        println!("changes  the zones");
    }
}

/// The text of the next version: comments and order stay.
fn changed(current: &PolicyFile, change: &Change<'_>, today: Date) -> Result<String, Failed> {
    let mut document: DocumentMut = current.text().parse()?;
    document.insert("version", value(i64::try_from(current.version() + 1)?));
    match change {
        Change::Add(path) => {
            entries(path)?.into_iter().try_for_each(|(kind, table)| push(&mut document, kind, table))?;
        }
        Change::Succeed(tie) => {
            let said = [
                ("predecessor", value(&tie.predecessor)),
                ("successor", value(&tie.successor)),
                ("since", value(tie.since.to_string())),
                ("reference", value(&tie.reference)),
            ];
            push(&mut document, "succession", Table::from_iter(said))?;
        }
        Change::Mandate(tie) => {
            let transactions: Array = tie.transactions.iter().map(|it| it.as_str()).collect();
            let said = [
                ("id", value(&tie.id)),
                ("mandator", value(&tie.mandator)),
                ("mandatary", value(&tie.mandatary)),
                ("transactions", value(transactions)),
                ("until", value(tie.until.to_string())),
                ("reference", value(&tie.reference)),
            ];
            push(&mut document, "mandate", Table::from_iter(said))?;
        }
        Change::Replace(path) => {
            for (kind, table) in entries(path)? {
                let id = table
                    .get("id")
                    .and_then(Item::as_str)
                    .ok_or("uam.change.id: an entry without an id")?
                    .to_owned();
                *find(&mut document, &[kind], &id)? = table;
            }
        }
        Change::Review(id) => {
            find(&mut document, &["grant"], id)?.insert("reviewed", value(today.to_string()));
        }
        Change::End(id, on) => {
            // The last day is a day of it: at once means until yesterday.
            let last = on.unwrap_or_else(|| today.yesterday().unwrap_or(today));
            find(&mut document, &["grant", "mandate"], id)?.insert("until", value(last.to_string()));
        }
    }
    Ok(document.to_string())
}

fn push(document: &mut DocumentMut, kind: &str, table: Table) -> Result<(), Failed> {
    let list = document.entry(kind).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let list = list.as_array_of_tables_mut().ok_or_else(|| format!("`{kind}` is no list of tables"))?;
    list.push(table);
    Ok(())
}

/// The entries of a file: `[[grant]]`, `[[mandate]]`, `[[succession]]`.
fn entries(path: &Path) -> Result<Vec<(&'static str, Table)>, Failed> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let document: DocumentMut = text.parse().map_err(|error| format!("{}: {error}", path.display()))?;
    let mut found = Vec::new();
    for (key, item) in document.iter() {
        let kind = KINDS.into_iter().find(|kind| *kind == key);
        let tables = kind.zip(item.as_array_of_tables());
        let (kind, tables) = tables.ok_or_else(|| {
            format!(
                "uam.change.entry: {}: `{key}`; expected [[grant]], [[mandate]] or [[succession]]",
                path.display()
            )
        })?;
        found.extend(tables.iter().map(|table| {
            let mut table = table.clone();
            table.set_position(None);
            (kind, table)
        }));
    }
    if found.is_empty() {
        return Err(format!("uam.change.entry: {}: no entry", path.display()).into());
    }
    Ok(found)
}

fn find<'a>(document: &'a mut DocumentMut, kinds: &[&str], id: &str) -> Result<&'a mut Table, Failed> {
    let tables = document.iter_mut().filter(|(key, _)| kinds.contains(&key.get()));
    let mut tables =
        tables.filter_map(|(_, item)| item.as_array_of_tables_mut()).flat_map(ArrayOfTables::iter_mut);
    let found = tables.find(|table| table.get("id").and_then(Item::as_str) == Some(id));
    found.ok_or_else(|| {
        format!("uam.change.unknown: no {} `{id}`; `epost uam list` shows them", kinds.join(" or ")).into()
    })
}

/// Written beside, synced and renamed: nobody ever sees half of it.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_added_extension("new");
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    sync_folder(path)
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}

const KINDS: [&str; 3] = ["grant", "mandate", "succession"];
