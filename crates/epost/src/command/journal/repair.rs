//! `epost journal repair`: what is damaged, what would be done or was done, and what is to do where nothing can be.

use std::process::ExitCode;

use jiff::Timestamp;
use journal::repair::{Damage, Incurable};
use serde_json::{Value, json};

use super::Which;
use crate::command::could_not_run;
use crate::config::Config;
use crate::repair::{Asked, Cure, DamagedKey, Found, Lost, repair};

/// Runs it: 0 all is whole, or was made so; 1 something cannot be mended; 2 it can, and --apply would; 3 could not run.
pub(super) async fn run(which: &Which, asked: Asked<'_>) -> ExitCode {
    let config = match Config::read(&which.config) {
        Ok(config) => config,
        Err(error) => return could_not_run(&error),
    };
    let found = match repair(&config, asked, Timestamp::now()).await {
        Ok(found) => found,
        Err(error) => return could_not_run(&error),
    };
    match which.json {
        true => lines(&found, asked.apply).iter().for_each(|line| println!("{line}")),
        false => tell(&found, asked),
    }
    match (found.is_curable(), found.is_whole() || asked.apply) {
        (false, _) => ExitCode::FAILURE,
        (true, true) => ExitCode::SUCCESS,
        (true, false) => ExitCode::from(2),
    }
}

fn tell(found: &Found, asked: Asked<'_>) {
    if let Some(Lost { what, newest, kept_as }) = &found.lost {
        println!("the newest checkpoint cannot be read: {what}");
        if let Some(newest) = newest {
            println!("the newest one at hand signs {} records: {}", newest.checkpoint.size(), newest.source);
        }
        if let Some(kept_as) = kept_as {
            println!("what was there is kept as {kept_as}");
        }
    }
    for Damage { path, offset, position, what } in &found.damages {
        println!("damaged: {}, offset {offset}, record {position}: {what}", path.display());
    }
    for path in &found.derived {
        println!("derived, and not what the segments say: {}", path.display());
    }
    let keys = found.keys.as_deref().unwrap_or_default();
    for key in keys {
        println!("key: {}: not what was written", named(key));
    }
    let content = found.content.as_deref().unwrap_or_default();
    for absent in content {
        println!("content: {}: {}", absent.name(), absent.what);
    }
    for replaced in &found.replaced {
        println!("replaced: {}; what was there is kept as {}", replaced.segment, replaced.kept_as);
    }
    let (segments, derived) = (found.damages.len(), found.derived.len());
    if let (Some(lost), Ok(records)) = (&found.lost, &found.records) {
        let done = if asked.apply { "was put back" } else { "is what --apply puts back" };
        let covered = lost.newest.as_ref().map_or(0, |newest| newest.checkpoint.size());
        println!(
            "it {done}; the {records} records lead to it. Those from {covered} on are under no checkpoint at hand, and are signed as they \
             are by the next start: let whoever kept a newer one compare (`epost journal compare`)"
        );
    }
    let keys_curable = keys.iter().filter(|key| key.cure == Cure::FromBackup).count();
    let curable = content.iter().filter(|absent| absent.cure == Cure::FromBackup).count();
    match &found.records {
        Err(incurable) => println!("nothing was changed: {incurable}"),
        Ok(records) if found.is_whole() => println!("whole: {records} records; nothing to do"),
        Ok(records) if asked.apply => println!(
            "whole now: {records} records; {segments} segments came from the backup, {derived} derived files were made again, \
             {keys_curable} item keys and {curable} files of content came back"
        ),
        Ok(records) => println!(
            "nothing was changed; --apply takes {segments} segments from the backup, makes {derived} derived files again, brings \
             {keys_curable} item keys and {curable} files of content back; the {records} records would then be what was signed of them"
        ),
    }
    for key in keys {
        if let Cure::No(why) = &key.cure {
            println!("not mended: {}: {why}", named(key));
        }
    }
    for absent in content {
        if let Cure::No(why) = &absent.cure {
            println!("not mended: {}: {why}", absent.name());
        }
    }
    if asked.content && found.content.is_none() {
        println!("keys and content were not looked at: the journal comes first");
    }
}

fn named(key: &DamagedKey) -> String {
    let whose = match (key.ticket, key.offset) {
        (Some(ticket), _) => format!("of {ticket}"),
        (None, 0) => "the header".to_owned(),
        (None, _) => "nobody can say whose".to_owned(),
    };
    format!("data/keys/items.keys, offset {}, {whose}", key.offset)
}

fn why(cure: &Cure) -> Option<&str> {
    match cure {
        Cure::FromBackup => None,
        Cure::No(why) => Some(why),
    }
}

fn lines(found: &Found, applied: bool) -> Vec<Value> {
    let mut lines = Vec::new();
    if let Some(Lost { what, newest, kept_as }) = &found.lost {
        lines.push(json!({
            "checkpoint": what, "newest_records": newest.as_ref().map(|newest| newest.checkpoint.size()),
            "newest_source": newest.as_ref().map(|newest| &newest.source), "kept_as": kept_as,
        }));
    }
    for damage in &found.damages {
        let segment = damage.path.file_name().unwrap_or_default().to_string_lossy();
        let kept_as = found.replaced.iter().find(|replaced| replaced.segment == segment);
        lines.push(json!({
            "segment": segment, "offset": damage.offset, "position": damage.position, "what": damage.what,
            "kept_as": kept_as.map(|replaced| &replaced.kept_as),
        }));
    }
    for path in &found.derived {
        lines.push(json!({"derived": path.file_name().unwrap_or_default().to_string_lossy()}));
    }
    for key in found.keys.as_deref().unwrap_or_default() {
        lines.push(json!({"key": key.ticket, "offset": key.offset, "not_mended": why(&key.cure)}));
    }
    for absent in found.content.as_deref().unwrap_or_default() {
        lines.push(json!({"content": absent.name(), "what": absent.what, "not_mended": why(&absent.cure)}));
    }
    let refused = found.records.as_ref().err();
    lines.push(json!({
        "whole": found.is_whole() || (applied && found.is_curable()),
        "curable": found.is_curable(), "applied": applied && refused.is_none(),
        "records": found.records.as_ref().ok(), "code": refused.map(Incurable::code),
        "why": refused.map(ToString::to_string),
    }));
    lines
}
