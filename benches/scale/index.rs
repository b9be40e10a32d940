//! Look-ups in an index of as many items.

use std::path::Path;
use std::process::Command;

use erds::Ticket;
use pki::digest::sha256;
use rusqlite::{Connection, params};
use store::index::Index;

use crate::{report_calls, resident_megabytes, scattered};

pub(crate) fn measure(path: &Path, items: u64) {
    // In a process of its own, so that what it holds is in no figure here.
    let mut filling = Command::new(std::env::current_exe().unwrap());
    assert!(filling.arg("fill").arg(path).arg(items.to_string()).status().unwrap().success());
    let index = Index::open(Some(path)).unwrap();
    let megabytes = std::fs::metadata(path).unwrap().len() / 1_000_000;
    println!("  {:<44} {items:>9} items, {megabytes:>5} MB", "index");
    report_calls("item by its ticket", |number| {
        let number = scattered(number, items);
        assert_eq!(index.item(ticket(number)).unwrap().unwrap().received, number);
    });
    report_calls("item by institution and token", |number| {
        let number = scattered(number, items);
        assert_eq!(index.item_by_token_key(&token_key(number)).unwrap().unwrap().received, number);
    });
    report_calls("no item by its ticket", |number| {
        assert!(index.item(ticket(items + number)).unwrap().is_none());
    });
    println!("  {:<44} {:>5} MB resident", "after that", resident_megabytes());
}

/// In one transaction: in the index's own way, one record a transaction, 10 million would take hours.
pub(crate) fn fill(path: &Path, items: u64) {
    drop(Index::open(Some(path)).unwrap()); // makes its tables
    let mut connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "synchronous", "off").unwrap();
    connection.pragma_update(None, "cache_size", -400_000).unwrap();
    let indexes: Vec<(String, String)> = {
        let sql = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL";
        let mut statement = connection.prepare(sql).unwrap();
        let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        found.collect::<Result<_, _>>().unwrap()
    };
    let transaction = connection.transaction().unwrap();
    indexes.iter().for_each(|(name, _)| transaction.execute_batch(&format!("DROP INDEX {name}")).unwrap());
    {
        let sql = "INSERT INTO items (ticket, institution, token_key, channel, received, received_at, accepted, state, last_position)
                   VALUES (?1, ?2, ?3, 'EBOX_CITIZEN', ?4, ?5, ?4, 'dispatched', ?4)";
        let mut insert = transaction.prepare(sql).unwrap();
        let mut tickets: Vec<(Ticket, u64)> = (0..items).map(|number| (ticket(number), number)).collect();
        tickets.sort_unstable_by(|one, other| one.0.as_str().cmp(other.0.as_str()));
        for (ticket, number) in tickets {
            let institution = format!("{:010}", number % 1000);
            let values =
                params![ticket.as_str(), institution, token_key(number), number as i64, number as i64 * 1000];
            insert.execute(values).unwrap();
        }
    }
    indexes.iter().for_each(|(_, sql)| transaction.execute_batch(sql).unwrap());
    transaction.commit().unwrap();
}

fn ticket(number: u64) -> Ticket {
    let mut digest = sha256(&number.to_be_bytes()).into_iter().cycle();
    Ticket::from_random(&mut |bytes| {
        bytes.iter_mut().zip(&mut digest).for_each(|(byte, random)| *byte = random)
    })
}

fn token_key(number: u64) -> [u8; 32] {
    sha256(&[&b"token"[..], &number.to_be_bytes()].concat())
}
