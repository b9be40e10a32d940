//! Receipt.xml: the fact that an item was handed to ePost.
//!
//! Source: `contract.md`, type `ReceiptContent`; the published schema declares no global element for it, ours is
//! `{http://socialsecurity.be/registeredmail/types/v1}ReceiptContent`. There is no time in it: the time is the seal's.

use erds::Environment;

use crate::description::{ItemDescription, TYPES_NAMESPACE};
use crate::schema::{ProofReadError, Sequence, read_proof, start_proof, structure};

/// What Receipt.xml says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReceiptContent {
    /// The environment of the instance; every one but production is marked NOT PRODUCTION.
    pub environment: Environment,
    /// The item.
    pub item: ItemDescription,
}

impl ReceiptContent {
    /// The file's bytes; the same content always gives the same ones.
    pub fn to_xml(&self) -> Vec<u8> {
        let mut writer = start_proof(self.environment, ROOT, TYPES_NAMESPACE);
        self.item.write(&mut writer, false);
        writer.raw("\n").end().raw("\n");
        writer.finish()
    }

    /// Reads a receipt back, as strictly as its schema.
    ///
    /// # Errors
    /// [`ProofReadError`]: the file is not a receipt.
    pub fn parse(xml: &[u8]) -> Result<Self, ProofReadError> {
        let (document, environment) = read_proof(xml)?;
        let root = document.root();
        if !root.is(TYPES_NAMESPACE, ROOT) {
            return Err(structure(ROOT, root.local_name()));
        }
        let mut sequence = Sequence::of(root, TYPES_NAMESPACE, None)?;
        let item = ItemDescription::read(&mut sequence)?;
        sequence.end()?;
        Ok(Self { environment, item })
    }
}

const ROOT: &str = "ReceiptContent";
