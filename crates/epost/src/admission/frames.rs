//! The SOAP message as the journal's frames keep it.

use journal::Frame;
use soap::wss::saml::Person;

use super::Arrived;
use super::facts::SignedMessage;
use super::spool::{Spooled, SpooledPart};
use crate::service::{Failure, Service};

impl Service {
    /// The SOAP message exactly as received, and the certificate that signed it. The bytes of `item`'s own parts are the item's.
    pub(super) fn message_frames(
        &self,
        arrived: &Arrived,
        message: &SignedMessage,
        item: &[&SpooledPart],
    ) -> Result<Vec<Frame>, Failure> {
        let mut frames = self.soap_frames(arrived, &message.included, item)?;
        let spooled = &arrived.spooled;
        frames.push(self.frame(spooled.ticket, &spooled.key, "certificate", message.certificate.der())?);
        frames.extend(self.person_frame(spooled, message.person.as_ref())?);
        Ok(frames)
    }

    /// Who it was that a token service vouches for: erased with the item, for it is personal.
    pub(super) fn person_frame(
        &self,
        spooled: &Spooled,
        person: Option<&Person>,
    ) -> Result<Option<Frame>, Failure> {
        let Some(person) = person else { return Ok(None) };
        let facts = serde_json::json!({
            "issuer": person.issuer, "assertion": person.assertion_id, "name": person.name,
        });
        self.frame(spooled.ticket, &spooled.key, "person", facts.to_string().as_bytes()).map(Some)
    }

    /// The root part, the HTTP Content-Type, and every part that the envelope itself includes, with its headers.
    pub(super) fn soap_frames(
        &self,
        arrived: &Arrived,
        included: &[String],
        item: &[&SpooledPart],
    ) -> Result<Vec<Frame>, Failure> {
        let spooled = &arrived.spooled;
        let frame = |name: &str, bytes: &[u8]| self.frame(spooled.ticket, &spooled.key, name, bytes);
        let mut frames =
            vec![frame("soap", &spooled.root)?, frame("content-type", arrived.head.content_type.as_bytes())?];
        for (place, part) in
            spooled.parts.iter().filter(|part| included.contains(&part.content_id)).enumerate()
        {
            frames.push(frame(&format!("include-{}-headers", place + 1), &part.headers)?);
            if !item.iter().any(|own| std::ptr::eq(*own, part)) {
                let bytes = self.spooled_bytes(spooled, part, u64::MAX)?;
                frames.push(frame(&format!("include-{}", place + 1), &bytes)?);
            }
        }
        Ok(frames)
    }

    /// The bytes of a part that was just spooled, or the first `bytes_max` of them.
    pub(super) fn spooled_bytes(
        &self,
        spooled: &Spooled,
        part: &SpooledPart,
        bytes_max: u64,
    ) -> Result<Vec<u8>, Failure> {
        if let Some(small) = &part.small {
            return Ok(small.clone());
        }
        let reader = self.content().read_stored(spooled.ticket, &part.stored, &spooled.key)?;
        let mut bytes = Vec::new();
        let read = std::io::Read::read_to_end(&mut std::io::Read::take(reader, bytes_max), &mut bytes);
        read.map_err(|error| Failure::store(&error.to_string()))?;
        Ok(bytes)
    }
}
