//! At the start: is the content there that is still to be delivered?

use erds::{Record, Ticket};

use super::{Failure, OpenError, Service};

impl Service {
    /// Refuses to go on where content of an item on its way is gone: it was promised, and a backup may have it while there is time.
    pub(super) fn require_content(&self) -> Result<(), OpenError> {
        let (mut count, mut first) = (0, Vec::new());
        for (ticket, received) in self.index.undelivered()? {
            for absent in self.absent(ticket, received)? {
                count += 1;
                if first.len() < NAMED_MAX {
                    first.push(absent);
                }
            }
        }
        if count == 0 {
            return Ok(());
        }
        let first = first.join(", ");
        if self.settings.serve_despite_absent {
            tracing::error!(event = "alarm.content-absent", count, first);
            return Ok(());
        }
        Err(OpenError::Absent { count, first })
    }

    /// Which of an item's parts nobody can read, as the backup's manifest names them.
    fn absent(&self, ticket: Ticket, received: u64) -> Result<Vec<String>, Failure> {
        if !self.keys.has(ticket)? {
            return Ok(vec![format!("the key of {ticket} in data/keys/items.keys")]);
        }
        let stored = self.journal.read(received)?;
        if !matches!(stored.record, Record::Received(_)) {
            return Err(Failure::journal("an item whose record is none"));
        }
        let mut absent = Vec::new();
        for part in super::parts::parts_in_files(&stored) {
            if !self.content.has_file(ticket, &part.name)? {
                absent.push(format!("data/content/{ticket}/{}", part.name));
            }
        }
        Ok(absent)
    }
}

/// So many are named; the others are counted.
const NAMED_MAX: usize = 5;
