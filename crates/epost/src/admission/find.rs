//! findItems: the items that the caller's institution may read, a bounded page at a time.

use std::sync::Arc;

use erds::Refusal;
use soap::message::v2::{FoundItem, ItemSearch, SearchBy, write_find_items_response};
use store::index::{Item, Search};

use super::facts::SignedMessage;
use super::refuse::unknown_ticket;
use super::{Arrived, Reply};
use crate::service::{Failure, Service};

impl Service {
    pub(super) async fn find_items(
        self: &Arc<Self>,
        arrived: &Arc<Arrived>,
        message: SignedMessage,
        search: ItemSearch,
    ) -> Result<Reply, Refusal> {
        let (items, more) = tokio::task::block_in_place(|| self.page(&message, &search))?;
        self.record_read(arrived, &message, None).await?;
        Ok(self.signed(message.version, 200, &write_find_items_response(&items, more))?)
    }

    fn page(&self, message: &SignedMessage, search: &ItemSearch) -> Result<(Vec<FoundItem>, bool), Refusal> {
        // The item that a page goes on from is the caller's own, or there is no such item.
        let after = match search.after {
            Some(ticket) => Some(self.owned(self.index().item(ticket).map_err(Failure::from)?, message)?),
            None => None,
        };
        let mut found: Vec<Item> = match &search.by {
            SearchBy::Token(token) => {
                if token.is_empty() {
                    return Err(unknown_ticket());
                }
                let items = self.items_by_token(message, token).map_err(Failure::from)?;
                let behind = |item: &Item| {
                    after.as_ref().is_none_or(|after| {
                        (item.received_at, item.ticket.as_str()) > (after.received_at, after.ticket.as_str())
                    })
                };
                let stands = |item: &Item| search.status.is_none_or(|status| item.status == status);
                items.into_iter().filter(|item| behind(item) && stands(item)).collect()
            }
            SearchBy::Received { from, to } => {
                let mut found = Vec::new();
                for one in &message.readable {
                    let question = Search {
                        institution: &one.institution,
                        from: *from,
                        to: *to,
                        status: search.status,
                        after: after.as_ref(),
                    };
                    found.extend(self.index().search(&question, PAGE_ITEMS_MAX + 1).map_err(Failure::from)?);
                }
                found
            }
        };
        found.sort_by(|one, other| {
            (one.received_at, one.ticket.as_str()).cmp(&(other.received_at, other.ticket.as_str()))
        });
        let more = found.len() > PAGE_ITEMS_MAX;
        found.truncate(PAGE_ITEMS_MAX);
        let items: Result<Vec<FoundItem>, Failure> = found.iter().map(|item| self.found(item)).collect();
        Ok((items?, more))
    }

    fn found(&self, item: &Item) -> Result<FoundItem, Failure> {
        // A key that was destroyed leaves an item without its sender's name.
        let kept = self.keys().open_key(item.ticket)?.is_some();
        Ok(FoundItem {
            ticket: item.ticket,
            token: if kept { Some(self.token_of(item)?) } else { None },
            status: item.status,
            received_at: item.received_at,
        })
    }
}

/// Items of one answer; the next page goes on behind the last of them.
const PAGE_ITEMS_MAX: usize = 100;
