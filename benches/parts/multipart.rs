//! An attachment from the first byte of the multipart body to its compared digest, in chunks as TLS gives them.

use benches::{beside, line_of_bytes, section};
use pki::digest::{Digest, DigestAlgorithm, Hasher};
use soap::multipart::{Limits, PartHeaders, PartSink, Reader, SinkError, Writer};

use crate::floor;

pub(crate) fn run() {
    section("Multipart: from the first byte to the compared digest", "SHA-256 of the part");
    for megabytes in [1, 16] {
        let content: Vec<u8> = (0..megabytes << 20).map(|i: usize| (i * 31 + (i >> 9)) as u8).collect();
        let stated = Digest::of(DigestAlgorithm::Sha256, &content);
        let writer = Writer::new([7; 16]);
        let body = writer.body(b"<e/>".to_vec(), &[("d@b", "application/pdf", &content)]).unwrap();
        let ours = || {
            let mut reader = Reader::new(&writer.content_type(), &Limits::default()).unwrap();
            let mut sink = Hashing(None, Vec::new());
            for chunk in body.chunks(16 * 1024) {
                reader.feed(chunk, &mut sink).unwrap();
            }
            reader.finish(&mut sink).unwrap();
            assert!(sink.1.iter().any(|digest| digest.matches(&stated)));
        };
        let figure = beside(ours, || floor::hash(&content));
        line_of_bytes(&format!("part of {megabytes} MB"), figure, content.len());
    }
}

struct Hashing(Option<Hasher>, Vec<Digest>);

impl PartSink for Hashing {
    fn begin(&mut self, _: &PartHeaders) -> Result<(), SinkError> {
        self.0 = Some(Hasher::new(DigestAlgorithm::Sha256));
        Ok(())
    }
    fn data(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        if let Some(hasher) = &mut self.0 {
            hasher.update(bytes);
        }
        Ok(())
    }
    fn end(&mut self) -> Result<(), SinkError> {
        self.1.extend(self.0.take().map(Hasher::finish));
        Ok(())
    }
}
