//! Partners' folders: what lies in one, by its role; never by a name that came from outside.
//!
//! Source: delivery.md, "Batch channel".

use serde::{Deserialize, Serialize};

/// One file of a partner's folder.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FolderFile {
    /// The sender's receipt.
    Receipt,
    /// Its seal.
    ReceiptSeal,
    /// The sender's proof of dispatch.
    Dispatch,
    /// Its seal.
    DispatchSeal,
    /// `FO.`: an item, as one file.
    Data,
    /// `FS.`: the signature over it.
    Seal,
    /// `GO.`: empty; it says that the two are whole.
    Go,
}

impl FolderFile {
    /// All of them; an item's in the order in which they may be taken.
    pub const ALL: [Self; 7] = [
        Self::Receipt,
        Self::ReceiptSeal,
        Self::Dispatch,
        Self::DispatchSeal,
        Self::Data,
        Self::Seal,
        Self::Go,
    ];

    /// The files of one item.
    pub const ITEM: [Self; 3] = [Self::Data, Self::Seal, Self::Go];

    /// The name in records and in the index.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Receipt => "receipt",
            Self::ReceiptSeal => "receipt_seal",
            Self::Dispatch => "dispatch",
            Self::DispatchSeal => "dispatch_seal",
            Self::Data => "data",
            Self::Seal => "seal",
            Self::Go => "go",
        }
    }

    /// The file of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|file| file.as_str() == name)
    }

    /// Whether it is part of an item that is delivered, and no proof for its sender.
    pub fn is_item(self) -> bool {
        Self::ITEM.contains(&self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for file in FolderFile::ALL {
            assert_eq!(FolderFile::from_name(file.as_str()), Some(file));
            assert_eq!(serde_json::to_string(&file).unwrap(), format!("\"{}\"", file.as_str()));
        }
        assert_eq!(FolderFile::from_name("FO"), None);
    }
}
