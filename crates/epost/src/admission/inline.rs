//! Contract B's contents in the Body itself: spooled as parts, so that from here on they are like contract A's attachments.

use erds::Refusal;
use soap::message::v2::InlineContent;

use super::Arrived;
use super::facts::SignedMessage;
use super::spool::SpooledPart;
use crate::service::{Failure, Service};

/// A content of the Body, and the part that holds its bytes.
pub(super) struct Inline {
    /// The Content-ID that the item's part has for it.
    pub(super) content_id: String,
    place: Place,
}

enum Place {
    /// A MIME part that came, by its place among them.
    Included(usize),
    /// Written now.
    Written(Box<SpooledPart>),
}

impl Inline {
    /// The part with its bytes; `came` are the MIME parts that came.
    pub(super) fn part<'a>(&'a self, came: &'a [SpooledPart]) -> Option<&'a SpooledPart> {
        match &self.place {
            Place::Included(place) => came.get(*place),
            Place::Written(part) => Some(part),
        }
    }
}

impl Service {
    /// The contents that stand in the Body, as parts beside those that came so: the MIME part that an `xop:Include` was, or a new one.
    pub(super) fn spool_inline(
        &self,
        arrived: &Arrived,
        message: &SignedMessage,
        contents: Vec<InlineContent>,
    ) -> Result<Vec<Inline>, Refusal> {
        let spooled = &arrived.spooled;
        let mut inline: Vec<Inline> = Vec::new();
        for content in contents {
            let InlineContent { content_id, content } = content;
            // The same bytes are the same content: whichever of equal parts is taken.
            let included = spooled.parts.iter().enumerate().find(|(place, part)| {
                message.included.contains(&part.content_id)
                    && part.stored.sha256 == content.sha256
                    && !inline
                        .iter()
                        .any(|taken| matches!(taken.place, Place::Included(other) if other == *place))
            });
            let place = match included {
                Some((place, _)) => Place::Included(place),
                None => {
                    self.require_free_space()
                        .map_err(|error| Failure::away("store.full", &error.to_string()))?;
                    let name = format!("part-{}", spooled.parts.len() + inline.len() + 1);
                    let writer = self.part_writer(spooled.ticket, &name, &spooled.key);
                    let writer = writer.map_err(Failure::from)?;
                    let stored = writer.finish_with(&content.bytes, content.sha256).map_err(Failure::from)?;
                    let content_id = content_id.clone();
                    let part = SpooledPart { content_id, headers: Vec::new(), small: None, stored };
                    Place::Written(Box::new(part))
                }
            };
            inline.push(Inline { content_id, place });
        }
        Ok(inline)
    }
}
